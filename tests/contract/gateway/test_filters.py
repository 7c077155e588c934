"""Which documents a question may be narrowed to, as clients write it and as the services are told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.contract.gateway.house import House, problem

EVERYTHING = {
    "document_ids": ["a" * 64],
    "filenames": ["Fähre 'x'.md"],
    "types": ["PDF", "docx"],
    "tags": ["contracts", "2026"],
    "date_from": "2026-03-01",
    "date_to": "2026-03-31",
}


async def test_the_documents_are_narrowed_by_all_that_is_given(house: House) -> None:
    response = await house.post("/query/documents", {"query": "remote work hours", "filters": EVERYTHING})

    asked = house.rag.requests[-1]
    assert response.status_code == 200
    assert list(asked.documents) == [f"documents/{'a' * 64}"]
    assert (list(asked.filters.filenames), list(asked.filters.extensions)) == (["Fähre 'x'.md"], ["pdf", "docx"])
    assert list(asked.filters.tags) == ["contracts", "2026"]
    assert asked.filters.create_time_from.ToDatetime(UTC) == datetime(2026, 3, 1, tzinfo=UTC)
    assert asked.filters.create_time_before.ToDatetime(UTC) == datetime(2026, 4, 1, tzinfo=UTC)


async def test_a_routed_question_is_assessed_and_answered_within_the_same_documents(house: House) -> None:
    body = {"query": "What are the remote work hours?", "filters": EVERYTHING}

    response = await house.post("/query", body)

    assert response.json()["query_type"] == "DOCUMENTS"
    assessed, answered = house.rag.requests[-2:]
    assert "AssessQuestion" in type(assessed).__name__
    for asked in (assessed, answered):
        assert list(asked.documents) == [f"documents/{'a' * 64}"]
        assert list(asked.filters.tags) == ["contracts", "2026"]
        assert asked.filters.create_time_before.ToDatetime(UTC) == datetime(2026, 4, 1, tzinfo=UTC)


@pytest.mark.parametrize("filters", [{}, {"types": [], "tags": [], "filenames": [], "document_ids": []}], ids=str)
async def test_empty_filters_narrow_nothing(house: House, filters: dict[str, Any]) -> None:
    await house.post("/query/documents", {"query": "remote work hours", "filters": filters})

    asked = house.rag.requests[-1]
    assert (list(asked.documents), asked.filters.ByteSize()) == ([], 0)


async def test_times_with_a_zone_are_taken_to_the_microsecond(house: House) -> None:
    filters = {"date_from": "2026-03-01T12:00:00+02:00", "date_to": "2026-03-01T10:00:00Z"}

    response = await house.post("/query/documents", {"query": "hours", "filters": filters})

    asked = house.rag.requests[-1].filters
    assert response.status_code == 200
    assert asked.create_time_from.ToDatetime(UTC) == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert asked.create_time_before.ToDatetime(UTC) == datetime(2026, 3, 1, 10, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize("last", ["9999-12-31", "9999-12-31T23:59:59.999999Z"])
async def test_the_end_of_time_narrows_nothing(house: House, last: str) -> None:
    response = await house.post("/query/documents", {"query": "hours", "filters": {"date_to": last}})

    assert response.status_code == 200
    assert not house.rag.requests[-1].filters.HasField("create_time_before")


@pytest.mark.parametrize("path", ["/query", "/query/documents"])
@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"types": [".pdf"]}, "filters.types.0"),
        ({"types": ["pdf", ""]}, "filters.types.1"),
        ({"types": "pdf"}, "filters.types"),
        ({"types": ["x"] * 21}, "filters.types"),
        ({"tags": [" "]}, "filters.tags.0"),
        ({"tags": ["x" * 51]}, "filters.tags.0"),
        ({"tags": ["t"] * 21}, "filters.tags"),
        ({"filenames": ["a\u0000b"]}, "filters.filenames.0"),
        ({"filenames": ["x" * 256]}, "filters.filenames.0"),
        ({"filenames": [7]}, "filters.filenames.0"),
        ({"document_ids": ["A" * 64]}, "filters.document_ids.0"),
        ({"date_from": "yesterday"}, "filters.date_from"),
        ({"date_from": "2026-02-30"}, "filters.date_from"),
        ({"date_to": "2026-03-01T12:00:00"}, "filters.date_to"),
        ({"date_to": "0001-01-01T00:00:00+10:00"}, "filters.date_to"),
        ({"date_to": 20260301}, "filters.date_to"),
        ({"date_from": "2026-03-02", "date_to": "2026-03-01"}, "filters.date_to"),
        ({"tenant": "other"}, "filters.tenant"),
    ],
    ids=str,
)
async def test_a_filter_that_cannot_be_meant_is_refused_and_named(
    house: House, path: str, filters: dict[str, Any], field: str
) -> None:
    response = await house.post(path, {"query": "hours", "filters": filters})

    assert problem(response, 422, "REQUEST_INVALID", field)["detail"]
    assert house.rag.requests == []
