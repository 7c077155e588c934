"""Tests that build nothing and run everything: the images, and the cluster of them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.settings import REPOSITORY
from tests.deploy.docker import reason_to_skip

Record = Callable[[str, str, object], None]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = reason_to_skip()
    here = Path(__file__).parent
    for item in items:
        if reason and here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def record() -> Record:
    """Notes a measure under a heading; all are in build/deploy.json after the session."""
    path = REPOSITORY / "build" / "deploy.json"
    path.parent.mkdir(exist_ok=True)
    measures: dict[str, dict[str, object]] = json.loads(path.read_text()) if path.exists() else {}

    def note(heading: str, name: str, value: object) -> None:
        measures.setdefault(heading, {})[name] = value
        path.write_text(json.dumps(measures, indent=2) + "\n")

    return note
