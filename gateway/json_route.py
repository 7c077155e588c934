"""Routes that take a JSON body: what is no JSON in UTF-8 is told so before a field is looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from gateway.problems import ProblemRaised

_MOST_SHOWN = 50  # characters of a name


class JsonRoute(APIRoute):
    """Refuses other media types (415), other encodings, and an empty body where one is needed (400)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        body_field = self.body_field

        async def handle_json(request: Request) -> Response:
            if body_field is not None and (body_field.field_info.is_required() or await request.body()):
                _check_media_type(request.headers.get("content-type", ""))
                _check_text(await request.body())
            return await handle(request)

        return handle_json


def _check_media_type(content_type: str) -> None:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ProblemRaised(
            415,
            "MEDIA_TYPE_UNSUPPORTED",
            "Send JSON with the header Content-Type: application/json.",
            field="Content-Type",
        )


def _check_text(body: bytes) -> None:
    if not body.strip():
        raise ProblemRaised(400, "JSON_INVALID", "The body is empty; send a JSON object.", field="body")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        detail = f"The body is not UTF-8: byte {error.start} cannot be read."
        raise ProblemRaised(400, "ENCODING_INVALID", detail, field="body") from error
    if text.startswith("\ufeff") or "\0" in text:
        raise ProblemRaised(400, "ENCODING_INVALID", "The body is not plain UTF-8 JSON.", field="body")
    # What is no JSON is told by whoever reads the fields.
    with suppress(ValueError, RecursionError):
        json.loads(text, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Of two values under one name each reader takes another: a proxy, a log and we might not mean the same."""
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            raise ProblemRaised(422, "REQUEST_INVALID", "The field is given twice.", field=name[:_MOST_SHOWN])
        names.add(name)
    return dict(pairs)
