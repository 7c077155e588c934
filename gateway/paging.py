"""The two parameters of every list."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

MAX_PAGE_SIZE = 200


def _plain_digits(value: object) -> object:
    """Only digits are a number here; a looser reading would take `1_0` or ` 5` for one."""
    if isinstance(value, str) and not (value.isascii() and value.removeprefix("-").isdigit()):
        raise PydanticCustomError("int_parsing", "Input should be a whole number")
    return value


PageSize = Annotated[
    int,
    Field(ge=1, le=MAX_PAGE_SIZE),
    BeforeValidator(_plain_digits),
    Query(description=f"Number of items a page, at most {MAX_PAGE_SIZE}."),
]
PageToken = Annotated[
    str,
    Query(
        max_length=1_000,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]*$",
        description="`next_page_token` of the page before; empty for the first.",
    ),
]
