"""What callers send is read, or refused by the name of its field."""

from datetime import UTC, datetime

import pytest

from services.sql.audit import AuditPosition, AuditScope
from services.sql.errors import (
    InvalidRequest,
    PageTokenInvalid,
    QueryNameInvalid,
    QuestionInvalid,
    RequestIdInvalid,
    TimeInvalid,
)
from services.sql.models import Owner, QueryPosition, QueryState
from services.sql.page_tokens import read_audit_token, read_page_token, write_audit_token, write_page_token
from services.sql.questions import read_parts, read_query_name, read_question, read_request_id, read_time_range

ADA = Owner("acme", "ada")
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
POSITION = QueryPosition(MOMENT, "0" * 32)
STEP = AuditPosition(MOMENT, "0" * 32, 7)
LOG = AuditScope("acme", "ada", "a" * 32, MOMENT, None)


def test_a_question_is_trimmed() -> None:
    assert read_question("  How many?\n") == "How many?"
    assert read_question("x" * 4_000) == "x" * 4_000
    assert read_question("a\tb\nc") == "a\tb\nc"


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 4_001, "a\0b", "bell\a", "\x7f", "next\x85line"])
def test_a_blank_long_or_unreadable_question_is_refused(text: str) -> None:
    with pytest.raises(QuestionInvalid) as caught:
        read_question(text)

    assert caught.value.field == "question"


def test_what_nobody_sees_is_left_out_of_a_question() -> None:
    seen = "Hw many\u200d clients?"

    assert read_question("\ufeffH\u202ew ma\xadny\u200d clients\u200b?\u2029") == seen
    assert read_question("\u200b") == "\u200b"


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


def test_a_name_in_another_field_is_refused_by_that_field() -> None:
    with pytest.raises(QueryNameInvalid) as caught:
        read_query_name("1", field="query")

    assert caught.value.field == "query"


def test_an_end_does_not_lie_before_its_start() -> None:
    assert read_time_range(MOMENT, MOMENT) == (MOMENT, MOMENT)
    assert read_time_range(None, MOMENT) == (None, MOMENT)
    with pytest.raises(TimeInvalid) as caught:
        read_time_range(MOMENT, MOMENT.replace(year=2025))
    assert caught.value.field == "end_time"


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


@pytest.mark.parametrize("scope", [LOG, AuditScope("acme", None)])
def test_a_token_of_the_log_is_read_back(scope: AuditScope) -> None:
    assert read_audit_token(write_audit_token(STEP, scope), scope) == STEP
    assert write_audit_token(None, scope) == ""
    assert read_audit_token("", scope) is None


@pytest.mark.parametrize(
    "other",
    [
        AuditScope("umbrella", "ada", "a" * 32, MOMENT),
        AuditScope("acme", "bo", "a" * 32, MOMENT),
        AuditScope("acme", None, "a" * 32, MOMENT),
        AuditScope("acme", "ada", None, MOMENT),
        AuditScope("acme", "ada", "a" * 32),
        AuditScope("acme", "ada", "a" * 32, None, MOMENT),
    ],
)
def test_a_token_of_the_log_holds_for_no_other_part_of_it(other: AuditScope) -> None:
    with pytest.raises(PageTokenInvalid):
        read_audit_token(write_audit_token(STEP, LOG), other)


def test_a_token_of_queries_is_none_of_the_log() -> None:
    with pytest.raises(PageTokenInvalid):
        read_audit_token(write_page_token(POSITION, ADA, None), AuditScope("acme", "ada"))


@pytest.mark.parametrize(
    "position",
    [
        AuditPosition(MOMENT.replace(tzinfo=None), "0" * 32, 1),
        AuditPosition(MOMENT, "x", 1),
        AuditPosition(MOMENT, "0" * 32, 0),
        AuditPosition(MOMENT, "0" * 32, 2**63),
    ],
    ids=["no zone", "no id", "no number", "a large number"],
)
def test_a_forged_token_of_the_log_holds_nothing_that_no_log_has(position: AuditPosition) -> None:
    token = write_audit_token(position, LOG)

    with pytest.raises(PageTokenInvalid):
        read_audit_token(token, LOG)
