"""The house rules that a reader relies on: short files, same names, one-way imports, nothing done at import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("deploy", "gateway", "protos", "services", "tests")
SERVICES = ("ingest", "rag", "router", "sql")
MAX_LINES = 400

SERVICE_FILES = ("server", "handler", "wiring", "settings", "service", "errors", "models", "ports")
# service.py and wiring.py may be split: service_<part>.py translates between messages and models too, wiring_<part>.py
# names adapters too.
OUTER_FILES = ("server", "handler", "wiring", "settings", "service")
FORBIDDEN_NAMES = ("base", "common", "constants", "helpers", "misc", "utils")

# What a domain module may not know: transports, stores, AWS, model providers, and its own adapters.
OUTER_PACKAGES = (
    "boto3",
    "botocore",
    "deploy",
    "fastapi",
    "gateway",
    "google",
    "grpc",
    "httpx",
    "openai",
    "pinecone",
    "protos",
    "psycopg",
    "psycopg_pool",
    "pydantic_settings",
    "services.storage",
    "services.transport",
    "vanna",
)

# Making one of these at import means work, or a connection, before anybody asked for it.
_MADE_LATE = ("Client", "Engine", "Executor", "Pool", "Session", "Settings")
_OPENED_LATE = ("client", "connect", "create_engine", "open_channel", "open_store", "resource")


def _is_generated(path: Path) -> bool:
    return "_pb2" in path.name


def _sources(*rooms: str) -> list[Path]:
    return sorted(
        path
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        if "__pycache__" not in path.parts and not _is_generated(path)
    )


def _names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def _imports(path: Path) -> Iterator[str]:
    """Every module a file imports, anywhere in it, for type checking alone too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _outer_modules(service: str) -> set[Path]:
    root = ROOT / "services" / service
    return {root / f"{name}.py" for name in OUTER_FILES} | {*root.glob("service_*.py"), *root.glob("wiring_*.py")}


def _domain_modules(service: str) -> list[Path]:
    root, outer = ROOT / "services" / service, _outer_modules(service)
    paths = [path for path in _sources(f"services/{service}") if "adapters" not in path.relative_to(root).parts]
    return [path for path in paths if path not in outer]


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in _sources(*ROOMS)}

    assert {path.relative_to(ROOT).as_posix(): n for path, n in lengths.items() if n > MAX_LINES} == {}


def test_no_file_is_named_after_nothing() -> None:
    assert [name for name in _names(_sources(*ROOMS)) if Path(name).stem in FORBIDDEN_NAMES] == []


def test_packages_re_export_nothing() -> None:
    filled = [path for path in _sources(*ROOMS) if path.name == "__init__.py" and path.read_text().strip()]

    assert _names(filled) == []


def test_every_folder_of_sources_is_a_package() -> None:
    missing = {path.parent for path in _sources(*ROOMS) if not (path.parent / "__init__.py").exists()}

    assert _names(sorted(missing)) == []


@pytest.mark.parametrize("service", SERVICES)
def test_services_have_the_same_eight_files(service: str) -> None:
    missing = [name for name in SERVICE_FILES if not (ROOT / "services" / service / f"{name}.py").is_file()]

    assert missing == []


@pytest.mark.parametrize("service", SERVICES)
def test_domain_modules_know_no_technology(service: str) -> None:
    outer = ("adapters", *(path.stem for path in _outer_modules(service)))
    forbidden = (*OUTER_PACKAGES, *(f"services.{service}.{name}" for name in outer))

    found = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in _domain_modules(service)
        for module in _imports(path)
        if any(_is_within(module, package) for package in forbidden)
    ]

    assert found == []


@pytest.mark.parametrize("service", SERVICES)
def test_services_know_no_other_room(service: str) -> None:
    others = ("gateway", "deploy", "tests", *(f"services.{other}" for other in SERVICES if other != service))

    found = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in _sources(f"services/{service}")
        for module in _imports(path)
        if any(_is_within(module, other) for other in others)
    ]

    assert found == []


@pytest.mark.parametrize("service", SERVICES)
def test_only_adapters_and_wiring_know_the_store(service: str) -> None:
    # Settings know those of the store, which are read with theirs.
    found = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in _sources(f"services/{service}")
        if not path.name.startswith("wiring") and "adapters" not in path.parts
        for module in _imports(path)
        if any(_is_within(module, package) for package in ("services.storage", "psycopg", "psycopg_pool"))
        and not (path.name == "settings.py" and _is_within(module, "services.storage.cache_settings"))
    ]

    assert found == []


def test_the_gateway_reaches_services_only_through_transport() -> None:
    found = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in _sources("gateway")
        for module in _imports(path)
        if _is_within(module, "services") and not _is_within(module, "services.transport")
    ]

    assert found == []


def _calls_at_import(tree: ast.Module) -> Iterator[ast.Call]:
    """Calls that run when a module is imported: those outside functions and lambdas."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting.extend(ast.iter_child_nodes(node))


def test_nothing_is_opened_or_configured_at_import_except_by_lambda_handlers() -> None:
    found = []
    for path in _sources("deploy", "gateway", "services"):
        if path.name == "handler.py":
            continue
        for call in _calls_at_import(ast.parse(path.read_text(encoding="utf-8"))):
            name = ast.unparse(call.func).split(".")[-1]
            if name.endswith(_MADE_LATE) or name in _OPENED_LATE:
                found.append(f"{path.relative_to(ROOT)}:{call.lineno} calls {name}")

    assert found == []


def test_no_file_names_a_place_on_one_machine() -> None:
    # Spelled in pieces, so that this file does not name one either.
    places = tuple("/" + name + "/" for name in ("work", "root", "home"))
    texts = [
        path
        for pattern in ("*.py", "*.proto", "*.sql", "*.toml", "*.md", "Makefile", "*.yaml", "*.yml", "*.sh", "*.txt")
        for room in ROOMS
        for path in (ROOT / room).rglob(pattern)
    ]
    texts += [path for path in ROOT.iterdir() if path.is_file() and path.suffix in (".md", ".toml", ".yaml", ".yml")]

    found = [path for path in texts if any(place in path.read_text(encoding="utf-8") for place in places)]

    assert _names(sorted(found)) == []


def test_no_work_is_left_marked_as_undone() -> None:
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X")

    found = [path for path in _sources(*ROOMS) if any(mark in path.read_text(encoding="utf-8") for mark in marks)]

    assert _names(found) == []
