"""Which source goes into which image."""

import ast
from pathlib import Path

import pytest

from deploy.images.sources import CONTRACTS, copy, folders
from deploy.local.settings import REPOSITORY


@pytest.fixture(scope="module", params=CONTRACTS)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def imported(folder: Path) -> set[tuple[str, ...]]:
    """Our own packages that the source in a folder imports, as the first two parts of their names."""
    names = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
    ours = {tuple(name.split(".")[:2]) for name in names}
    return {name for name in ours if name[0] in ("services", "protos", "gateway", "deploy") and len(name) == 2}


def test_an_image_holds_all_that_its_source_imports_of_ours(service: str, tmp_path: Path) -> None:
    copy(service, REPOSITORY, tmp_path)

    held = {tuple(folder.parts[:2]) for folder in folders(service)}
    missing = {name for name in imported(tmp_path) if name not in held and name[0] != "gateway"}
    assert missing == set()


def test_an_image_holds_no_contract_that_its_source_does_not_speak(service: str) -> None:
    own = REPOSITORY / folders(service)[0]

    spoken = {name[1] for name in imported(own) if name[0] == "protos"}

    assert spoken == set(CONTRACTS[service])


def test_only_python_that_runs_is_copied(service: str, tmp_path: Path) -> None:
    copy(service, REPOSITORY, tmp_path)

    kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert kinds <= {".py", ".sql", ".json", ".txt"}
    assert (tmp_path / folders(service)[0] / "handler.py").exists()
