"""File names as callers send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.errors import FilenameInvalid, FileTypeUnsupported
from services.ingest.filenames import clean_filename, served_extension


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("notes.txt", "notes.txt"),
        ("  spaced name.txt ", "spaced name.txt"),
        ("re\u0301sume\u0301.md", "r\u00e9sum\u00e9.md"),
        ("..%2f..%2fetc%2fpasswd.txt", "..%2f..%2fetc%2fpasswd.txt"),
        ("日本語.pdf", "日本語.pdf"),
        ("x" * 251 + ".txt", "x" * 251 + ".txt"),
    ],
)
def test_a_name_is_kept_trimmed_and_composed(raw: str, clean: str) -> None:
    assert clean_filename(raw) == clean


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "../../etc/passwd.txt",
        "C:\\Users\\ann\\notes.txt",
        "/absolute/notes.txt",
        "a\\b/c.txt",
        "/",
        "a/",
        "..",
        "a/..",
        "\\",
        "a\x00.txt",
        "a\n.txt",
        "a\x7f.txt",
        "exe\u202etxt.md",
        "x" * 252 + ".txt",
    ],
)
def test_names_that_are_none_are_refused_with_the_field(raw: str) -> None:
    with pytest.raises(FilenameInvalid) as caught:
        clean_filename(raw)
    assert caught.value.field == "filename"


@given(st.text(max_size=300))
def test_whatever_comes_a_clean_name_is_safe_and_stays_as_it_is(raw: str) -> None:
    try:
        clean = clean_filename(raw)
    except FilenameInvalid:
        return
    assert 1 <= len(clean) <= 255
    assert not set("/\\\x00\n") & set(clean)
    assert clean_filename(clean) == clean


@pytest.mark.parametrize(("name", "extension"), [("a.PDF", "pdf"), ("a.b.Md", "md"), (".config.json", "json")])
def test_extensions_are_told_in_lower_case(name: str, extension: str) -> None:
    assert served_extension(name) == extension


@pytest.mark.parametrize("name", ["notes", "notes.", "a.exe", "a.pdf.zip", ".pdf", "a.p df"])
def test_other_extensions_are_refused_naming_those_served(name: str) -> None:
    with pytest.raises(FileTypeUnsupported, match=r"\.csv, \.docx") as caught:
        served_extension(name)
    assert caught.value.field == "filename"


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("a.doc", ".docx"),
        ("a.XLS", ".xlsx"),
        ("a.ppt", ".pptx"),
        ("a.odt", ".docx"),
        ("a.msg", ".eml"),
        ("a.rtf", ".docx"),
    ],
)
def test_older_kinds_are_refused_with_the_kind_to_save_them_as(name: str, way_out: str) -> None:
    with pytest.raises(FileTypeUnsupported, match=f"save it as {way_out};"):
        served_extension(name)
