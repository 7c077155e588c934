"""PowerPoint presentations."""

import pytest

from services.ingest.adapters.parsing.formats import parse_bytes
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import BlockKind, ParsedDocument, TablePlace
from tests.unit.ingest.office_files import A, pptx_of, relations, shape, slide_cell, slide_table, zipped

_C = "http://schemas.openxmlformats.org/drawingml/2006/chart"
_DGM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"


def texts_of(document: ParsedDocument) -> list[str]:
    return [document.text[block.start : block.end] for block in document.blocks]


def parsed(*slides: str, **options: object) -> ParsedDocument:
    return parse_bytes(pptx_of(*slides, **options), "pptx")  # type: ignore[arg-type]


def test_slides_are_pages_under_their_titles_with_lists_and_notes() -> None:
    document = parsed(
        shape("intro text", "subTitle") + shape("The plan", "ctrTitle"),
        shape("Steps", "title") + shape("first\nsecond", "") + shape("7", "sldNum"),
        notes={2: "Say it slowly."},
    )

    assert texts_of(document) == ["The plan", "intro text", "Steps", "first", "second", "Say it slowly."]
    assert [block.page for block in document.blocks] == [1, 1, 2, 2, 2, 2]
    assert [block.kind for block in document.blocks[3:]] == [BlockKind.ITEM, BlockKind.ITEM, BlockKind.PARAGRAPH]
    assert document.blocks[-1].headings == ("Steps",)
    assert (document.title, document.page_count) == ("The plan", 2)


def test_a_slide_without_title_does_not_stand_under_that_of_the_one_before() -> None:
    long = "A text that is too long to be what a slide without any title is called, whoever looks at it."
    document = parsed(shape("First", "title") + shape("a"), shape("Short text") + shape("b"), shape(long))

    assert texts_of(document) == ["First", "a", "Short text", "b", "Slide 3", long]
    assert [block.headings for block in document.blocks if block.kind is BlockKind.PARAGRAPH] == [
        ("First",),
        ("Short text",),
        ("Slide 3",),
    ]


def test_tables_become_rows_with_spans_and_headers_of_two_rows() -> None:
    simple = slide_table(["Name", "Days"], ["Ann", "15"])
    spanned = slide_table(
        ["", slide_cell("2024", 'gridSpan="2"'), slide_cell("", 'hMerge="1"')],
        ["Region", "Spring", "Autumn"],
        [slide_cell("North", 'rowSpan="2"'), "1", "2"],
        [slide_cell("", 'vMerge="1"'), "3", "4"],
    )
    document = parsed(shape("T", "title") + simple + spanned)

    assert texts_of(document)[1:] == [
        "Name: Ann; Days: 15",
        "Region: North; 2024 / Spring: 1; 2024 / Autumn: 2",
        "Region: North; 2024 / Spring: 3; 2024 / Autumn: 4",
    ]
    assert document.blocks[2].table == TablePlace(1, 0, ("Region", "2024 / Spring", "2024 / Autumn"))


def test_grouped_shapes_are_read_and_text_for_older_programs_is_not() -> None:
    group = f"<p:grpSp>{shape('outer')}<p:grpSp>{shape('inner')}</p:grpSp></p:grpSp>"
    mc = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    alternate = (
        f'<mc:AlternateContent xmlns:mc="{mc}"><mc:Choice>{shape("new")}</mc:Choice>'
        f"<mc:Fallback>{shape('old')}</mc:Fallback></mc:AlternateContent>"
    )

    assert texts_of(parsed(shape("T", "title") + group + alternate)) == ["T", "outer", "inner", "new"]


def test_charts_and_diagrams_are_read_from_the_parts_they_lie_in() -> None:
    def values(*numbers: object) -> str:
        return "".join(f'<c:pt idx="{at}"><c:v>{number}</c:v></c:pt>' for at, number in enumerate(numbers))

    series = (
        f"<c:ser><c:tx><c:v>{name}</c:v></c:tx><c:cat>{values('Oslo', 'Rome')}</c:cat>"
        f"<c:val>{values(*numbers)}</c:val></c:ser>"
        for name, numbers in (("2023", (1, 2.5)), ("2024", (3, 4)))
    )
    title = "<c:title><a:p><a:r><a:t>Visits</a:t></a:r></a:p></c:title>"
    chart = f'<c:chartSpace xmlns:c="{_C}" xmlns:a="{A}"><c:chart>{title}{"".join(series)}</c:chart></c:chartSpace>'
    point = "<dgm:pt><dgm:t><a:p><a:r><a:t>Step one</a:t></a:r></a:p></dgm:t></dgm:pt>"
    diagram = f'<dgm:dataModel xmlns:dgm="{_DGM}" xmlns:a="{A}">{point}</dgm:dataModel>'
    shapes = (
        shape("T", "title")
        + f'<p:graphicFrame><c:chart xmlns:c="{_C}" r:id="rId1"/></p:graphicFrame>'
        + f'<p:graphicFrame><dgm:relIds xmlns:dgm="{_DGM}" r:dm="rId2"/></p:graphicFrame>'
    )
    document = parsed(
        shapes,
        extra={
            "ppt/slides/_rels/slide1.xml.rels": relations(
                {"rId1": ("chart", "../charts/chart1.xml"), "rId2": ("diagramData", "../diagrams/data1.xml")}
            ),
            "ppt/charts/chart1.xml": chart,
            "ppt/diagrams/data1.xml": diagram,
        },
    )

    assert texts_of(document) == ["T", "Visits", "Oslo; 2023: 1; 2024: 3", "Rome; 2023: 2.5; 2024: 4", "Step one"]


def test_hidden_slides_are_left_out_and_pages_keep_their_numbers() -> None:
    document = parsed(shape("One", "title"), "hidden" + shape("Secret", "title"), shape("Three", "title"))

    assert [(text, block.page) for text, block in zip(texts_of(document), document.blocks, strict=True)] == [
        ("One", 1),
        ("Three", 3),
    ]


def test_pages_are_told_as_they_are_done() -> None:
    told: list[tuple[int, int]] = []

    parse_bytes(pptx_of(shape("a"), shape("b")), "pptx", lambda page, of: told.append((page, of)))

    assert told == [(1, 2), (2, 2)]


def test_a_presentation_without_slides_or_without_itself_is_refused() -> None:
    with pytest.raises(FileWithoutText, match="no slide"):
        parsed()
    with pytest.raises(FileBroken, match="no presentation"):
        parse_bytes(zipped({"ppt/other.xml": "<x/>"}), "pptx")


def test_relationships_that_lead_out_of_the_file_lead_nowhere() -> None:
    rels = relations({"rId1": ("slide", "../../../../etc/passwd"), "rId2": ("slide", "file:///etc/passwd")})

    assert texts_of(parsed(shape("a", "title"), shape("b"), extra={"docProps/core.xml": "<x/>"})) == ["a", "b"]
    with pytest.raises(FileWithoutText):
        parsed(shape("a"), shape("b"), extra={"ppt/_rels/presentation.xml.rels": rels})
