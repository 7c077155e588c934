from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.storage.dynamodb_items import (
    Key,
    Value,
    Write,
    assignments,
    from_attributes,
    key_part,
    time_from,
    time_text,
    to_attributes,
)

KEY = Key("DOCUMENT#red", "DOCUMENT")


def test_values_come_back_as_they_were() -> None:
    item: dict[str, Value] = {
        "text": "Straße",
        "empty": "",
        "count": -3,
        "large": 2**60,
        "share": 0.1,
        "small": 1e-30,
        "yes": True,
        "nothing": None,
        "bytes": b"\x00\xff",
        "names": [{"filename": "a.txt", "links": [1, "two"]}, None],
    }

    assert from_attributes(to_attributes(item)) == item


def test_a_write_tells_what_its_expressions_stand_for() -> None:
    write = Write(KEY, update="SET #state = :state REMOVE #due_at", condition="#size = :size", values={"state": "X"})

    assert write.kind == "Update"
    assert write.arguments("t") == {
        "TableName": "t",
        "Key": {"pk": {"S": "DOCUMENT#red"}, "sk": {"S": "DOCUMENT"}},
        "UpdateExpression": "SET #state = :state REMOVE #due_at",
        "ConditionExpression": "#size = :size",
        "ExpressionAttributeNames": {"#state": "state", "#due_at": "due_at", "#size": "size"},
        "ExpressionAttributeValues": {":state": {"S": "X"}},
    }


def test_a_put_carries_its_key_and_a_delete_nothing_else() -> None:
    assert Write(KEY, {"size": 1}).arguments("t") == {
        "TableName": "t",
        "Item": {"size": {"N": "1"}, "pk": {"S": "DOCUMENT#red"}, "sk": {"S": "DOCUMENT"}},
    }
    assert Write(KEY).kind == "Delete"
    assert set(Write(KEY).arguments("t")) == {"TableName", "Key"}


def test_assignments_set_what_has_a_value_and_remove_what_has_none() -> None:
    assert assignments({"a": 0, "b": None, "c": ""}) == ("SET #a = :a, #c = :c REMOVE #b", {"a": 0, "c": ""})
    assert assignments({"b": None}) == ("REMOVE #b", {})


@pytest.mark.parametrize(
    ("one", "other"),
    [("a#b", "a%23b"), ("x" * 201, "x" * 202), ("é" * 100, "é" * 101), ("", "%"), ("A", "a"), ("ß", "ss")],
)
def test_different_texts_make_different_key_parts(one: str, other: str) -> None:
    assert key_part(one) != key_part(other)
    assert "#" not in key_part(one) + key_part(other)
    assert max(len(key_part(one)), len(key_part(other))) <= 200


def test_a_text_cannot_pass_for_the_part_of_a_longer_one() -> None:
    assert key_part(key_part("x" * 300)) != key_part("x" * 300)


def test_times_are_ordered_as_their_texts_are() -> None:
    start = datetime(2026, 9, 30, 23, 59, 59, 999_999, tzinfo=UTC)
    times = [start + timedelta(microseconds=step) for step in (0, 1, 2, 1_000_000)]

    texts = [time_text(time) for time in times]

    assert texts == sorted(texts)
    assert [time_from(text) for text in texts] == times


def test_a_time_of_another_zone_is_the_same_time() -> None:
    time = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))

    assert time_text(time) == "2025-12-31T23:30:00.000000Z"
