"""Where sentences begin and end."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rag.sentences import LONGEST_SENTENCE_CHARACTERS, rows_and_sentences_of, sentences_of


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end, _ in sentences_of(text)]


def headings(text: str) -> list[str]:
    return [text[start:end] for start, end, is_heading in sentences_of(text) if is_heading]


PROSE = {
    "times": ("We work from 10 AM to 3 PM. Later we rest.", ["We work from 10 AM to 3 PM.", "Later we rest."]),
    "titles": ("Ask Dr. J. Smith. He knows.", ["Ask Dr. J. Smith.", "He knows."]),
    "day after p.m.": ("Come at 5 p.m. Monday or later. Bye.", ["Come at 5 p.m. Monday or later.", "Bye."]),
    "end with p.m.": ("We close at 5 p.m. The shop is small.", ["We close at 5 p.m.", "The shop is small."]),
    "decimals": ("It costs 3.5 dollars. Pay now!", ["It costs 3.5 dollars.", "Pay now!"]),
    "numbers": ("See No. 5 and Fig. 3 first. Then go on.", ["See No. 5 and Fig. 3 first.", "Then go on."]),
    "countries": ("He works for the U.S. Department. So do I.", ["He works for the U.S. Department.", "So do I."]),
    "companies": ("Made by Acme Inc. The firm is big.", ["Made by Acme Inc.", "The firm is big."]),
    "examples": ("Bring fruit, e.g. apples. Eat it.", ["Bring fruit, e.g. apples.", "Eat it."]),
    "quotes": ('"Really?" she asked. "Yes." He left.', ['"Really?" she asked.', '"Yes."', "He left."]),
    "questions": ("Is it free? Yes, it is.", ["Is it free?", "Yes, it is."]),
    "ellipsis": ("Well... maybe. Fine.", ["Well... maybe.", "Fine."]),
    "wrapped lines": (
        "A line that a page\nhas wrapped. Another\none.",
        ["A line that a page\nhas wrapped.", "Another\none."],
    ),
    "no spaces": ("你好。我是人！谢谢", ["你好。", "我是人！", "谢谢"]),
    "addresses": ("Write to a.b@example.com or see example.com/x.y today. Bye.", None),
}


@pytest.mark.parametrize("case", PROSE)
def test_prose_is_cut_where_a_reader_would_stop(case: str) -> None:
    text, expected = PROSE[case]

    assert cut(text) == (expected or ["Write to a.b@example.com or see example.com/x.y today.", "Bye."])


def test_list_items_stand_alone_and_lose_their_marks() -> None:
    assert cut("Rules:\n- First rule\n- second rule.\n* third") == ["Rules:", "First rule", "second rule.", "third"]


def test_numbered_items_keep_their_numbers() -> None:
    assert cut("Do this.\n1. Press the lever.\n2. Fill with water.")[1:] == [
        "1. Press the lever.",
        "2. Fill with water.",
    ]


def test_rows_of_tables_stand_alone_and_rules_between_them_are_left_out() -> None:
    assert cut("| Name | Price |\n|------|-------|\n| Oar | 12 |") == ["Name | Price", "Oar | 12"]
    assert cut("name,price,stock\nOar,12.99,5\nRope,3.50,7") == ["name,price,stock", "Oar,12.99,5", "Rope,3.50,7"]


def test_keys_and_values_stand_alone() -> None:
    text = "Support hours:\nMonday: 9 AM to 6 PM\nSaturday: 10 AM to 2 PM"

    assert cut(text) == ["Support hours:", "Monday: 9 AM to 6 PM", "Saturday: 10 AM to 2 PM"]


def test_headings_are_told_from_sentences() -> None:
    text = "# Time off\n\nYou get 26 days.\n\nSick Leave\n\nTell us before 8 AM."

    assert headings(text) == ["Time off", "Sick Leave"]
    assert cut(text) == ["Time off", "You get 26 days.", "Sick Leave", "Tell us before 8 AM."]


def test_unpunctuated_text_is_cut_where_it_breathes() -> None:
    pieces = cut("many words, " * 200)

    assert len(pieces) > 1
    assert all(len(piece) <= LONGEST_SENTENCE_CHARACTERS for piece in pieces)
    assert all(piece.endswith("words,") for piece in pieces)


def test_a_wrapped_line_with_a_colon_goes_on() -> None:
    text = "Goodwill is no substitute for\nan explanation: every answer says what happened."

    assert cut(text) == [text]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=600))
def test_any_text_is_cut_into_stretches_in_order_that_hold_all_its_words(text: str) -> None:
    found = sentences_of(text)

    assert all(0 <= start < end <= len(text) for start, end, _ in found)
    assert all(before.end <= after.start for before, after in itertools.pairwise(found))
    left_out = text
    for start, end, _ in reversed(found):
        left_out = left_out[:start] + left_out[end:]
    assert not any(character.isdigit() for character in left_out)
    assert not any(character.isalpha() for character in left_out if character not in "o")


def test_a_row_stays_whole_and_what_stands_around_it_is_cut_as_ever() -> None:
    row = f"Oak tiller; notes: Oiled twice. Fits most boats. See p. 4.; origin: {'far ' * 120}; price: 64.00"
    text = f"Prices are per piece. They include tax.\n{row}\nAsh tiller; price: 58.00\nAsk us; we deliver."

    found = rows_and_sentences_of(text)

    assert [text[start:end] for start, end, _ in found] == [
        "Prices are per piece.",
        "They include tax.",
        row,
        "Ash tiller; price: 58.00",
        "Ask us; we deliver.",
    ]
