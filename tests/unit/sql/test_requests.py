"""What callers send is read, or refused by the name of its field."""

from datetime import UTC, datetime

import pytest

from services.sql.errors import InvalidRequest, PageTokenInvalid, QueryNameInvalid, QuestionInvalid, RequestIdInvalid
from services.sql.models import Owner, QueryPosition, QueryState
from services.sql.page_tokens import read_page_token, write_page_token
from services.sql.questions import read_parts, read_query_name, read_question, read_request_id

ADA = Owner("acme", "ada")
POSITION = QueryPosition(datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), "0" * 32)


def test_a_question_is_trimmed() -> None:
    assert read_question("  How many?\n") == "How many?"
    assert read_question("x" * 4_000) == "x" * 4_000
    assert read_question("a\tb\nc") == "a\tb\nc"


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 4_001, "a\0b", "bell\a", "\x7f", "next\x85line"])
def test_a_blank_long_or_unreadable_question_is_refused(text: str) -> None:
    with pytest.raises(QuestionInvalid) as caught:
        read_question(text)

    assert caught.value.field == "question"


def test_a_bad_part_is_named_by_its_place() -> None:
    with pytest.raises(QuestionInvalid) as caught:
        read_parts(["fine", " "])

    assert caught.value.field == "parts[1]"
    assert read_parts([" a ", "b"]) == ["a", "b"]


def test_more_than_eight_parts_are_refused() -> None:
    assert len(read_parts(["x"] * 8)) == 8
    with pytest.raises(QuestionInvalid):
        read_parts(["x"] * 9)


def test_a_request_id_is_a_uuid_or_empty() -> None:
    assert read_request_id("") == ""
    assert read_request_id("6E8BC430-9C3A-11D9-9669-0800200C9A66") == "6e8bc430-9c3a-11d9-9669-0800200c9a66"
    with pytest.raises(RequestIdInvalid):
        read_request_id("not-a-uuid")


def test_a_query_name_holds_an_id() -> None:
    assert read_query_name("queries/" + "a1" * 16) == "a1" * 16


@pytest.mark.parametrize(
    "name", ["", "queries/", "queries/UPPER", "jobs/1", "queries/a/b", "queries/a\n", "queries/'; --", "queries/é"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(QueryNameInvalid):
        read_query_name(name)


@pytest.mark.parametrize("state", [None, QueryState.PENDING])
def test_a_page_token_is_read_back(state: QueryState | None) -> None:
    assert read_page_token(write_page_token(POSITION, ADA, state), ADA, state) == POSITION


def test_no_position_is_the_empty_token() -> None:
    assert write_page_token(None, ADA, None) == ""
    assert read_page_token("", ADA, None) is None


def test_a_token_of_another_filter_or_owner_is_refused() -> None:
    token = write_page_token(POSITION, ADA, QueryState.PENDING)

    for owner, state in ((ADA, None), (ADA, QueryState.FAILED), (Owner("acme", "bo"), QueryState.PENDING)):
        with pytest.raises(PageTokenInvalid):
            read_page_token(token, owner, state)


@pytest.mark.parametrize("token", ["x", "!!!!", "AAAA", "é", "A" * 400, " ", "bm90IGEgdG9rZW4"])
def test_a_made_up_token_is_refused(token: str) -> None:
    with pytest.raises(PageTokenInvalid) as caught:
        read_page_token(token, ADA, None)

    assert isinstance(caught.value, InvalidRequest)
    assert caught.value.field == "page_token"


@pytest.mark.parametrize(
    "position",
    [
        QueryPosition(datetime(2026, 1, 2, 3, 4), "0" * 32),
        QueryPosition(datetime.fromisoformat("0001-01-01T00:00:00+14:00"), "0" * 32),
        QueryPosition(POSITION.create_time, "' OR true; --"),
        QueryPosition(POSITION.create_time, "0" * 10_000),
    ],
    ids=["no zone", "before all time", "no id", "a long id"],
)
def test_a_token_forged_with_the_right_check_holds_nothing_that_no_list_has(position: QueryPosition) -> None:
    token = write_page_token(position, ADA, None)

    with pytest.raises(PageTokenInvalid):
        read_page_token(token, ADA, None)
