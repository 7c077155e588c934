"""What is put over chunks where they are embedded."""

import pytest

from services.rag.headers import headers_of, names_of, searched_words
from services.rag.models import Chunk


@pytest.mark.parametrize(
    ("filename", "title", "names"),
    [
        ("Norrland_Ferries-2021.pdf", "", ("Norrland Ferries 2021",)),
        ("NORRLAND_2021.pdf", "Annual\n report", ("NORRLAND 2021", "Annual report")),
        ("ferries_2021.pdf", "Ferries: annual report (2021)", ("ferries 2021", "Ferries: annual report (2021)")),
        ("2021-03-01.pdf", "Minutes", ("Minutes",)),
        ("3f2a9c1be8d04f7792.pdf", "Minutes", ("Minutes",)),
        ("notes 3f2a9c1be8d04f7792.txt", "", ("notes",)),
        ("年報.pdf", "", ("年報",)),
        ("README", "", ("README",)),
        ("7.pdf", "", ()),
    ],
)
def test_a_document_is_called_by_its_file_and_its_title(filename: str, title: str, names: tuple[str, ...]) -> None:
    assert names_of(filename, title) == names


def test_headers_begin_with_all_there_is_and_become_shorter() -> None:
    headers = list(headers_of(("File", "Title"), ("Part", "Chapter", "Section"), "text"))

    assert headers == [
        "File > Title > Part > Chapter > Section",
        "File > Title > Section",
        "File > Section",
        "Section",
        "File",
    ]


def test_what_the_text_says_is_not_said_over_it() -> None:
    assert list(headers_of(("Guide",), ("Leave", "Pay"), "Pay\n\nMonthly.")) == ["Guide > Leave", "Leave", "Guide"]
    assert list(headers_of(("Guide",), (), "The Guide says so.")) == []


def test_a_heading_over_two_lines_stands_on_one() -> None:
    assert list(headers_of((), ("Time\n off",), "26 days")) == ["Time off"]


def test_a_chunk_is_found_by_the_names_of_its_document_too() -> None:
    chunk = Chunk(0, "26 days.", 0, 8, headings=("Handbook", "Vacation"))

    assert searched_words(("Norrland", "Handbook"), chunk) == "Norrland\nHandbook\nHandbook\nVacation\n26 days."
