"""The errors the contract promises are the errors the service has, rpc by rpc in its comments."""

import re
from pathlib import Path

from grpc import StatusCode

from services.ingest.service import FAILURES

PROTO = Path(__file__).parents[3] / "protos" / "ingest" / "v1" / "ingest_service.proto"
_PROMISE = re.compile(r"^ *// ([A-Z_]+) / ([A-Z_, or]+?)(?: when .*|\.)?$", re.MULTILINE)
_OF_THE_TRANSPORT = {"CLAIM_MISSING", "CLAIM_INVALID", "UNEXPECTED"}


def promised() -> set[tuple[StatusCode, str]]:
    return {
        (StatusCode[code], reason)
        for code, reasons in _PROMISE.findall(PROTO.read_text())
        for reason in re.findall(r"[A-Z_]{3,}", reasons)
        if reason not in _OF_THE_TRANSPORT
    }


def test_every_promised_error_is_in_the_table_and_no_other() -> None:
    assert {(failure.code, failure.reason) for failure in FAILURES.values()} == promised()


def test_every_error_of_the_tree_is_in_the_table_or_above_or_below_one_that_is() -> None:
    from services.ingest import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.IngestError)]
    # The first two never leave; the third is told as UNEXPECTED.
    inward = {errors.LeaseLost, errors.JobQueueUnavailable, errors.JobFailed}

    untold = {
        kind
        for kind in kinds
        if kind not in inward
        and not any(parent in FAILURES for parent in kind.__mro__)
        and not any(issubclass(listed, kind) for listed in FAILURES)
    }

    assert untold == set()
