"""What a question to the documents may be narrowed to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from gateway.questions import SHOWN_TEXT_PATTERN, Body, valid_text
from protos.rag.v1 import rag_service_pb2
from protos.router.v1 import router_service_pb2

MAX_FILTERED_DOCUMENTS = 100
MAX_FILTERED_FILENAMES = 100
MAX_FILTERED_TYPES = 20
MAX_FILTERED_TAGS = 20

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_WANTED = "a day such as 2026-03-31, or a time with its zone such as 2026-03-31T12:00:00Z"


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("value_blank", "The value is blank.")
    return valid_text(text)


def _moment(value: object) -> object:
    """A day or a time of what was written. Raises: it is neither."""
    if isinstance(value, str):
        try:
            if _DAY.fullmatch(value):
                return date.fromisoformat(value)
            if _TIME.fullmatch(value):
                return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise PydanticCustomError("moment_invalid", "Input should be {wanted}", {"wanted": _WANTED})


def _text_schema(most_characters: int) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "minLength": 1, "maxLength": most_characters, "pattern": SHOWN_TEXT_PATTERN}
    )


DocumentId = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Filename = Annotated[str, Field(max_length=255), AfterValidator(_not_blank), _text_schema(255)]
FileType = Annotated[str, Field(pattern="^[A-Za-z0-9]{1,16}$", examples=["pdf"])]
Tag = Annotated[str, Field(max_length=50), AfterValidator(_not_blank), _text_schema(50)]
Moment = Annotated[
    date | datetime | None,
    BeforeValidator(_moment),
    WithJsonSchema(
        {
            "type": "string",
            "anyOf": [{"format": "date"}, {"format": "date-time"}],
            "examples": ["2026-03-31", "2026-03-31T12:00:00Z"],
        }
    ),
]


class Filters(Body):
    """Which documents may be read. What is left out or empty lets all pass; what is given holds together."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"types": ["pdf", "docx"], "tags": ["contracts"], "date_from": "2026-01-01"}]}
    )

    document_ids: list[DocumentId] = Field(
        default=[], max_length=MAX_FILTERED_DOCUMENTS, description="Only these; none means all."
    )
    filenames: list[Filename] = Field(
        default=[],
        max_length=MAX_FILTERED_FILENAMES,
        description="Only documents of one of these names, to the letter.",
    )
    types: list[FileType] = Field(
        default=[], max_length=MAX_FILTERED_TYPES, description="Only files of one of these kinds, without a dot."
    )
    tags: list[Tag] = Field(
        default=[],
        max_length=MAX_FILTERED_TAGS,
        description="Only documents that were uploaded with all of these tags.",
    )
    date_from: Moment = Field(
        default=None, description="Only documents that were first uploaded then or later; of a day from its start, UTC."
    )
    date_to: Moment = Field(
        default=None,
        description="Only documents that were first uploaded then or earlier; of a day up to its end, UTC.",
    )

    @model_validator(mode="after")
    def _dates_in_order(self) -> Filters:
        start, end = self.first_moment, self.moment_after
        if start is not None and end is not None and start >= end:
            raise PydanticCustomError(
                "dates_reversed", "`date_to` lies before `date_from`.", {"field": "filters.date_to"}
            )
        return self

    @property
    def first_moment(self) -> datetime | None:
        """The first that passes."""
        return _start(self.date_from)

    @property
    def moment_after(self) -> datetime | None:
        """The first that passes no more."""
        last = self.date_to
        if last is None or last in (date.max, datetime.max.replace(tzinfo=UTC)):
            return None
        # Times are kept to the microsecond.
        step = timedelta(microseconds=1) if isinstance(last, datetime) else timedelta(days=1)
        start = _start(last)
        return None if start is None else start + step

    @property
    def documents(self) -> list[str]:
        """Resource names of the documents."""
        return [f"documents/{document_id}" for document_id in self.document_ids]

    def for_rag(self) -> rag_service_pb2.SearchFilters:
        """What the rag service is told besides `documents`."""
        return rag_service_pb2.SearchFilters(**self._told())

    def for_router(self) -> router_service_pb2.DocumentFilters:
        """What the router is told."""
        return router_service_pb2.DocumentFilters(documents=self.documents, **self._told())

    def _told(self) -> Mapping[str, Any]:
        return {
            "filenames": self.filenames,
            "extensions": [extension.lower() for extension in self.types],
            "tags": [tag.strip() for tag in self.tags],
            "create_time_from": _timestamp(self.first_moment),
            "create_time_before": _timestamp(self.moment_after),
        }


def _start(moment: date | datetime | None) -> datetime | None:
    if moment is None or isinstance(moment, datetime):
        return moment
    return datetime(moment.year, moment.month, moment.day, tzinfo=UTC)


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    told = Timestamp()
    told.FromDatetime(moment)
    return told
