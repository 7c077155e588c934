"""CSV, JSON, Markdown, HTML, plain text, and their encodings."""

import contextlib
import json

import pytest

from services.ingest.adapters.parsing.formats import parse_bytes
from services.ingest.adapters.parsing.text_decoding import decode
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import BlockKind, ParsedDocument, TablePlace


def parsed(text: str | bytes, extension: str) -> ParsedDocument:
    return parse_bytes(text.encode() if isinstance(text, str) else text, extension)


def texts(text: str | bytes, extension: str) -> list[str]:
    document = parsed(text, extension)
    return [document.text[block.start : block.end] for block in document.blocks]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("José".encode(), "José"),
        (b"\xef\xbb\xbfJos\xc3\xa9", "José"),
        ("José".encode("latin-1"), "José"),
        ("price: 5 € – “fine”".encode("cp1252"), "price: 5 € – “fine”"),
        ("José".encode("utf-16"), "José"),
        ("José in Malaga".encode("utf-16-le"), "José in Malaga"),
        ("José in Malaga".encode("utf-16-be"), "José in Malaga"),
        ("José".encode("utf-32"), "José"),
        (("Съешь же ещё этих мягких французских булок, да выпей чаю. " * 3).encode("cp1251"), "Съешь"),
        (("日本語の文章を読み取ることができます。" * 5).encode("shift_jis"), "日本語"),
    ],
)
def test_encodings_are_told_apart(data: bytes, text: str) -> None:
    assert decode(data).startswith(text)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\xef\xbb\xbf\xff\xff"])
def test_what_contradicts_its_own_mark_is_broken(data: bytes) -> None:
    with pytest.raises(FileBroken):
        decode(data)


def test_rows_of_a_csv_carry_their_header() -> None:
    assert texts("Name,City\nAnn,Oslo\n\nBo,\n", "csv") == ["Name: Ann; City: Oslo", "Name: Bo"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(delimiter: str) -> None:
    rows = [["Name", "Note"], ["Ann", "a b"], ["Bo", "c d"]]

    assert texts("\n".join(delimiter.join(row) for row in rows), "csv") == [
        "Name: Ann; Note: a b",
        "Name: Bo; Note: c d",
    ]


def test_quoted_cells_keep_delimiters_and_line_breaks() -> None:
    assert texts('Name,Note\n"Ann, the first","one\ntwo"\n', "csv") == ["Name: Ann, the first; Note: one two"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_of_a_csv_end_as_any_system_ends_lines(end: str) -> None:
    table = end.join(["Name,Note", f'Ann,"one{end}two"', "", "Bo,three"])

    assert texts(table, "csv") == texts(table + end, "csv") == ["Name: Ann; Note: one two", "Name: Bo; Note: three"]


def test_a_csv_without_header_keeps_every_row() -> None:
    assert texts("1,2\n3,4\n", "csv") == ["1; 2", "3; 4"]
    assert texts("Name,City\n", "csv") == ["Name; City"]
    assert texts("a,b\nc,d,e\n", "csv") == ["a: c; b: d; e"]


def test_tsv_is_parted_by_tabs_alone() -> None:
    assert texts("Name\tNote\nAnn\ta, b; c\n", "tsv") == ["Name: Ann; Note: a, b; c"]


@pytest.mark.parametrize("text", ['Name\n"' + "x" * 1_000_001 + '"\n', 'Name\n"never closed' + "x" * 1_000_001])
def test_a_gigantic_cell_is_refused_naming_the_row(text: str) -> None:
    with pytest.raises(FileBroken, match="row"):
        parsed(text, "csv")


def test_json_values_keep_the_path_that_leads_to_them() -> None:
    value = {"shop": {"name": "Nord", "open": True, "closed": None}, "tags": ["a", "b"], "rate": 0.5}

    assert texts(json.dumps(value), "json") == ["shop.name: Nord", "shop.open: true", "tags: a, b", "rate: 0.5"]


def test_objects_in_a_list_are_rows() -> None:
    value = {"orders": [{"id": 1, "by": {"name": "Ann"}}, {"id": 2, "items": [{"sku": "x"}]}]}

    assert texts(json.dumps(value), "json") == ["orders[0] id: 1; by.name: Ann", "orders[1] id: 2; items[0].sku: x"]
    assert texts('[{"id": 1, "name": "A"}]', "json") == ["id: 1; name: A"]


def test_json_lines_are_rows_too_and_faults_name_their_line() -> None:
    assert texts('{"a": 1}\n\n{"a": 2}\n', "jsonl") == ["a: 1", "a: 2"]
    with pytest.raises(FileBroken, match="line 2"):
        parsed('{"a": 1}\n{"a": \n', "jsonl")


@pytest.mark.parametrize(
    "text", ["{", "{'a': 1}", "[1,", "9" * 5_000, "[" * 103 + "1" + "]" * 103, "[" * 100_000, '{"a":' * 50_000]
)
def test_json_that_is_none_or_too_deep_is_refused(text: str) -> None:
    with pytest.raises(FileBroken):
        parsed(text, "json")


def test_lone_surrogates_and_nul_of_json_are_left_out() -> None:
    document = parsed('{"a": "x\\ud800y\\u0000z"}', "json")

    assert document.text == "a: xyz"
    document.text.encode()


def test_markdown_is_read_as_a_reader_sees_it() -> None:
    text = """---
author: Ann
---
# Guide to *leave*

A [link](http://x.y) and `code`, ![a picture](p.png)
on two lines.

## Days
- one
- two
  - three

| Kind | Days |
|------|------|
| full | 15   |

```python
x = 1
```
"""
    document = parsed(text, "md")

    assert [document.text[block.start : block.end] for block in document.blocks] == [
        "author: Ann",
        "Guide to leave",
        "A link and code, a picture on two lines.",
        "Days",
        "one",
        "two",
        "three",
        "Kind: full; Days: 15",
        "x = 1",
    ]
    assert document.blocks[-2].headings == ("Guide to leave", "Days")
    assert document.title == "Guide to leave"


def test_html_in_markdown_is_text_and_never_markup() -> None:
    document = parsed(
        "# T\n\n<script>alert(1)</script>\n\n<div onclick='x()'>seen <b>bold</b></div>\n\nin <i>line</i>", "md"
    )

    assert document.text == "T\n\nseen bold\n\nin line"


def test_html_is_read_as_a_reader_sees_it() -> None:
    page = """<!doctype html><html><head><title>The page</title><style>p{}</style><script>x()</script></head><body>
    <nav>Home | About</nav><h1>Leave</h1><p>Fifteen
    days <b>a</b> year.</p><p style="display: none">hidden</p>loose words<br>next line<br><br>apart
    <ul><li>one<ul><li>inner</li></ul></li><li>two</li></ul>
    <table><tr><th>Kind</th><th>Days</th></tr><tr><td>full</td><td>15</td></tr></table>
    <pre>x = 1\n  y = 2</pre><img alt="a chart" src="x.png"></body></html>"""

    document = parsed(page, "html")

    assert [document.text[block.start : block.end] for block in document.blocks] == [
        "Leave",
        "Fifteen days a year.",
        "loose words\nnext line",
        "apart",
        "one",
        "inner",
        "two",
        "Kind: full; Days: 15",
        "x = 1\n  y = 2",
        "a chart",
    ]
    assert document.title == "The page"
    assert document.blocks[-1].headings == ("Leave",)


def test_a_declared_encoding_does_not_garble_what_was_decoded() -> None:
    page = '<html><head><meta charset="latin-1"></head><body><p>José</p></body></html>'

    assert texts(page.encode(), "html") == ["José"]


def test_html_entities_do_not_explode_or_open_files() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "haha"><!ENTITY e SYSTEM "file:///etc/passwd">]><p>&a;&e;&amp; kept</p>'

    text = parsed(bomb, "html").text

    assert "root:" not in text
    assert "kept" in text


def test_deeply_nested_html_is_read_or_refused_but_never_crashes() -> None:
    with contextlib.suppress(FileBroken, FileWithoutText):
        parsed("<div>" * 100_000 + "deep" + "</div>" * 100_000, "html")


def test_plain_text_keeps_its_lines_and_paragraphs() -> None:
    document = parsed("Title\r\n\r\nfirst line\r\nsecond line\r\n \r\nlast", "txt")

    assert document.text == "Title\n\nfirst line\nsecond line\n\nlast"
    assert {block.kind for block in document.blocks} == {BlockKind.PARAGRAPH}


@pytest.mark.parametrize("extension", ["txt", "md", "csv", "tsv", "html", "htm", "jsonl"])
def test_a_file_of_nothing_but_white_space_has_no_text(extension: str) -> None:
    with pytest.raises(FileWithoutText):
        parsed(" \n\n \n", extension)


@pytest.mark.parametrize("value", ["{}", "[]", "null", '""', '{"a": null}'])
def test_json_without_a_value_has_no_text(value: str) -> None:
    with pytest.raises(FileWithoutText):
        parsed(value, "json")


def test_a_title_over_a_csv_and_a_named_delimiter_are_understood() -> None:
    export = "Staff of 2024\nPrinted today,,\nName,City,Age\nAnn,Oslo,5\nBo,Rome,6\nCy,Bonn,7\n"

    assert texts(export, "csv")[:3] == ["Staff of 2024", "Printed today", "Name: Ann; City: Oslo; Age: 5"]
    assert texts("sep=;\nName;City\nAnn;Oslo, Norway\n", "csv") == ["Name: Ann; City: Oslo, Norway"]


def test_rows_of_text_formats_say_where_they_stand() -> None:
    columns = ("id", "name")
    wanted = [TablePlace(0, 0, columns), TablePlace(0, 1, columns)]

    for text, extension in (
        ("id,name\n1,A\n2,B\n", "csv"),
        ('{"id": 1, "name": "A"}\n{"id": 2, "name": "B"}\n', "jsonl"),
        ('[{"id": 1, "name": "A"}, {"id": 2, "name": "B"}]', "json"),
        ("| id | name |\n|----|------|\n| 1 | A |\n| 2 | B |\n", "md"),
        ("<table><tr><th>id<th>name<tr><td>1<td>A<tr><td>2<td>B</table>", "html"),
    ):
        assert [block.table for block in parsed(text, extension).blocks] == wanted, extension


def test_lists_in_json_are_tables_of_their_own() -> None:
    document = parsed('{"a": [{"x": 1}], "n": 5, "b": [{"y": 2}, {"y": 3}], "tags": ["u", null, "v"]}', "json")

    assert document.text.split("\n") == ["a[0] x: 1", "n: 5", "b[0] y: 2", "b[1] y: 3", "tags: u, v"]
    assert [block.table and block.table.table for block in document.blocks] == [0, None, 1, 1, None]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1,}', "nothing after it"),
        ("[1 2]", "expecting ','"),
        ('{"a" 1}', "expecting ':'"),
        ("{1: 2}", "name in quotes"),
        ("[1] [2]", "more than one value"),
        ('{"a": 1} x', "more than one value"),
        ('[\n{"a": 1},\n{"a": tru}]', "line 3"),
    ],
)
def test_what_is_wrong_with_json_is_named(text: str, why: str) -> None:
    with pytest.raises(FileBroken, match=why):
        parsed(text, "json")


def test_spans_captions_and_heads_of_html_tables_are_understood() -> None:
    page = """<table><caption>Sales</caption><thead><tr><th rowspan=2>Region<th colspan=2>2024</tr>
    <tr><th>Spring<th>Autumn</tr></thead><tr><td rowspan=2>North<td>1<td>2</tr><tr><td>3<td>4</tr></table>"""

    assert texts(page, "html") == [
        "Sales",
        "Region: North; 2024 / Spring: 1; 2024 / Autumn: 2",
        "Region: North; 2024 / Spring: 3; 2024 / Autumn: 4",
    ]


def test_tables_in_html_cells_are_told_after_and_tables_that_lay_out_are_none() -> None:
    inner = "<table><tr><th>Size<th>Price<tr><td>S<td>5</table>"
    data = f"<table><tr><th>Name<th>Offer<tr><td>Ann<td>see {inner}<tr><td>Bo<td>none</table>"
    layout = f"<table><tr><td><h2>Left</h2>words<td>{inner}</table>"

    assert texts(data, "html") == ["Name: Ann; Offer: see", "Name: Bo; Offer: none", "Size: S; Price: 5"]
    assert texts(layout, "html") == ["Left", "words", "Size: S; Price: 5"]


def test_ways_through_a_site_are_dropped_and_what_the_page_says_is_kept() -> None:
    page = """<body><header><h1>Harbour</h1></header><div role="navigation">Home | About</div>
    <main><article><p>Open daily.</p><footer>By Ann</footer></article></main>
    <div hidden>secret</div><footer>All rights reserved</footer></body>"""

    assert texts(page, "html") == ["Harbour", "Open daily.", "By Ann"]
    assert texts("<p>Open daily.</p><footer>Tel. 555</footer>", "html") == ["Open daily.", "Tel. 555"]


@pytest.mark.parametrize("depth", [300, 5_000])
def test_html_is_read_to_its_end_or_refused_and_never_cut_in_silence(depth: int) -> None:
    page = "<p>start</p>" + "<div>" * depth + "deep" + "</div>" * depth + "<p>end</p>"

    if depth == 300:
        assert texts(page, "html") == ["start", "deep", "end"]
    else:
        with pytest.raises(FileBroken, match="nested"):
            parsed(page, "html")


def test_markdown_is_read_to_its_end_or_refused_too() -> None:
    lists = "".join(f"{'  ' * depth}- item {depth}\n" for depth in range(30))

    assert texts(lists, "md")[-1] == "item 29"
    with pytest.raises(FileBroken, match="nested"):
        parsed("> " * 5_000 + "deep", "md")


def test_front_matter_gives_the_title_and_stays_text() -> None:
    document = parsed("---\ntitle: 'The harbour'\ntags: [a, b]\n---\n\n# Opening\n\ndaily\n", "md")

    assert document.title == "The harbour"
    assert document.text.startswith("title: 'The harbour'\ntags: [a, b]\n\nOpening")
