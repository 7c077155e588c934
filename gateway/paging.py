"""The two parameters of every list."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from gateway.questions import valid_text

MAX_PAGE_SIZE = 200


def _plain_digits(value: object) -> object:
    """Only digits are a number here; a looser reading would take `1_0` or ` 5` for one."""
    if isinstance(value, str) and not (value.isascii() and value.removeprefix("-").isdigit()):
        raise PydanticCustomError("int_parsing", "Input should be a whole number")
    return value


PageSize = Annotated[
    int, BeforeValidator(_plain_digits), Query(ge=1, le=MAX_PAGE_SIZE, description="Number of items a page.")
]
PageToken = Annotated[
    str,
    AfterValidator(valid_text),
    Query(max_length=1_000, description="`next_page_token` of the page before; empty for the first."),
]
