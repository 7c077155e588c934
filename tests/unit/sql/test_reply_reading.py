"""How a model's text is read: leniently in its form, and without trust in what it says."""

import json

import pytest

from services.sql.prompting.drafts import ModelReply, read_reply

SQL = "SELECT count(*) FROM customers"
TOLD = {"sql": SQL, "explanation": "Counts.", "refusal": None, "confidence": 0.9}
REPLY = ModelReply(SQL, "Counts.", "", 0.9)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(TOLD),
        f"Here is the query you asked for:\n\n```json\n{json.dumps(TOLD, indent=2)}\n```\nGood luck!",
        f"```\n{json.dumps(TOLD)}\n```",
        f"Sure! {json.dumps(TOLD)} Let me know.",
        f"<think>It may be {{}} or ```sql\nSELECT 2\n```</think>\n{json.dumps(TOLD)}",
        json.dumps({**TOLD, "refusal": "null"}),
        json.dumps({**TOLD, "sql": f"```sql\n{SQL}\n```"}),
    ],
)
def test_a_reply_is_found_in_what_models_wrap_it_in(text: str) -> None:
    assert read_reply(text) == REPLY


@pytest.mark.parametrize("text", [SQL, f"```sql\n{SQL}\n```", f"Use this:\n```SQL\n{SQL}\n```\nIt counts."])
def test_a_bare_query_is_a_reply_of_doubtful_confidence(text: str) -> None:
    assert read_reply(text) == ModelReply(SQL, "", "", 0.5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The weather is fine.",
        "[]",
        "null",
        "7",
        "{}",
        '{"answer": 1}',
        "[" * 100_000,
        '{"sql":' * 50_000,
        # Whoever gives two queries has not answered with one.
        "```sql\nSELECT 1\n```\nor\n```sql\nSELECT 2\n```",
        "```python\nprint(1)\n```",
        "DROP TABLE customers",
    ],
)
def test_anything_else_is_no_reply(text: str) -> None:
    assert read_reply(text) is None


def test_who_refuses_and_writes_a_query_all_the_same_has_refused() -> None:
    reply = read_reply(json.dumps({**TOLD, "refusal": "There is no such table."}))

    assert reply == ModelReply("", "Counts.", "There is no such table.", 0.9)


@pytest.mark.parametrize("sql", ["null", "NONE;", "", " ", None, 7, ["SELECT 1"]])
def test_a_query_that_is_none_is_empty(sql: object) -> None:
    reply = read_reply(json.dumps({**TOLD, "sql": sql}))

    assert reply is not None
    assert reply.sql == ""


@pytest.mark.parametrize("confidence", ["0.9", None, True, -0.1, 1.1, 9e99, float("nan"), float("inf"), [], {}])
def test_a_confidence_that_is_none_is_doubt(confidence: object) -> None:
    reply = read_reply(json.dumps({**TOLD, "confidence": confidence}))

    assert reply is not None
    assert reply.confidence == 0.5


@pytest.mark.parametrize(
    ("told", "read"), [([2, 1, 2], (1, 2)), (["1", None, True, 1.5, [3]], ()), ("1", ()), (None, ()), ({}, ())]
)
def test_numbers_of_terms_are_numbers(told: object, read: tuple[int, ...]) -> None:
    reply = read_reply(json.dumps({**TOLD, "terms": told}))

    assert reply is not None
    assert reply.terms == read


def test_texts_hold_no_signs_that_a_store_does_not_keep_and_have_an_end() -> None:
    reply = read_reply(json.dumps({**TOLD, "explanation": "Counts\0 the \ud800 customers.\n" + "x" * 100_000}))

    assert reply is not None
    assert reply.explanation.startswith("Counts the customers. xxx")
    assert len(reply.explanation) == 1_000
