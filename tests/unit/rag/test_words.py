"""What words are searched by."""

from hypothesis import given
from hypothesis import strategies as st

from services.rag.words import terms_of, words_of


def terms(text: str) -> list[str]:
    return [word.term for word in words_of(text) if word.term]


def test_forms_of_a_word_are_one_term() -> None:
    assert len({*terms("vacation vacations Vacation's VACATION")}) == 1


def test_words_of_grammar_are_no_terms() -> None:
    assert terms("What is the price of it, and why wasn't it told to us?") == ["price", "told"]


def test_accents_and_widths_make_no_difference() -> None:
    assert terms("café") == terms("cafe") == terms("cafe\u0301") == terms("ＣＡＦＥ")


def test_numbers_are_one_term_however_they_are_written() -> None:
    assert terms("12,000") == terms("12000") == ["12000"]
    assert terms("three") == terms("3")
    assert terms("10:30") == ["10:30"]
    assert terms("3.5") == ["3.5"]


def test_codes_and_initials_stay_whole() -> None:
    assert terms("error E4 in the U.S.") == ["error", "e4", "u.s"]


def test_scripts_without_spaces_are_searched_by_pairs_of_characters() -> None:
    assert terms("北京大学") == ["北京", "京大", "大学"]
    assert terms("京") == ["京"]


def test_terms_are_counted() -> None:
    assert terms_of("Ferry, ferries and a boat") == {"ferri": 2, "boat": 1}


@given(st.text(max_size=300))
def test_any_text_gives_terms_that_an_index_can_hold(text: str) -> None:
    for word in words_of(text):
        assert len(word.term) <= 128
        assert text[word.start : word.start + len(word.surface)] == word.surface
