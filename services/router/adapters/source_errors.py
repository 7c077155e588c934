"""Failed calls to the sources, as the router's own errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from services.router.errors import SourceFailed, SourceRefused, SourceTimeout, SourceUnavailable
from services.transport.errors import TRANSPORT_DOMAIN, read_failure


@contextmanager
def source_errors(source: str) -> Iterator[None]:
    """Turn a failed call inside into SourceUnavailable, SourceTimeout or SourceRefused of this source."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise _source_error(source, error) from error


def _source_error(source: str, error: grpc.aio.AioRpcError) -> SourceFailed:
    failure = read_failure(error)
    if failure.domain == TRANSPORT_DOMAIN:
        if failure.code is grpc.StatusCode.UNAVAILABLE:
            return SourceUnavailable(source)
        if failure.code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return SourceTimeout(source)
    return SourceRefused(source, failure.reason, failure.message, failure)
