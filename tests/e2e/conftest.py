"""One running system for all tests that do not harm it: of this machine, or with DIGLOT_URL one that runs elsewhere.

A system elsewhere holds the sample shop and the sample documents, lets queries on the shop run at once, and knows
nobody's key.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.running_system import RunningSystem
from tests.pinecone_server import PineconeServer


@pytest.fixture(scope="session")
def system(make_folder: Callable[[], Path]) -> Iterator[RunningSystem]:
    """The system with its sample data, as processes of this machine."""
    if _url():
        pytest.skip("looks into the processes of a system, and DIGLOT_URL names one elsewhere")
    system = RunningSystem(make_folder() / "data")
    try:
        system.start()
        yield system
    finally:
        system.close()


@pytest.fixture(scope="session")
def _elsewhere() -> Iterator[httpx.Client]:
    with httpx.Client(base_url=_url(), timeout=90, trust_env=False) as client:
        yield client


@pytest.fixture
def client(request: pytest.FixtureRequest) -> httpx.Client:
    """A client of its REST API."""
    if _url():
        elsewhere: httpx.Client = request.getfixturevalue("_elsewhere")
        return elsewhere
    system: RunningSystem = request.getfixturevalue("system")
    return system.client


def _url() -> str:
    return os.environ.get("DIGLOT_URL", "").rstrip("/")


@pytest.fixture
def pinecone(pinecone_server: PineconeServer) -> PineconeServer:
    """A Pinecone of this machine with the two indexes of the production shape, empty."""
    for name in ("rag-documents", "vanna-sql-training"):
        pinecone_server.create_index(name, dimension=1_536)
    return pinecone_server
