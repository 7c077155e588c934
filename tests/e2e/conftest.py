"""One running system for all tests that do not harm it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.running_system import RunningSystem


@pytest.fixture(scope="session")
def system(make_folder: Callable[[], Path]) -> Iterator[RunningSystem]:
    """The system with its sample data."""
    system = RunningSystem(make_folder() / "data")
    try:
        system.start()
        yield system
    finally:
        system.close()


@pytest.fixture
def client(system: RunningSystem) -> httpx.Client:
    """A client of its REST API."""
    return system.client
