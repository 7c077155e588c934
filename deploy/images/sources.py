"""Copies a service's own source into its image: `sources.py SERVICE REPOSITORY DESTINATION`.

An image holds its service, the two rooms that every service stands on, and the generated code of the contracts it
speaks: its own and its callees'. A change to another service leaves it as it was, byte for byte.
"""

import shutil
import sys
from pathlib import Path

# The contracts each service speaks, and so the only ones whose generated code its image holds.
CONTRACTS = {
    "gateway": ("router", "rag", "sql", "ingest"),
    "router": ("router", "rag", "sql"),
    "rag": ("rag",),
    "sql": ("sql", "rag"),
    "ingest": ("ingest", "rag"),
}
# Those that keep rows or files of their own.
_STORING = ("rag", "sql", "ingest")
# Written for people and type checkers, or by an interpreter that ran here.
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.pyi", "*.proto", "*.md")


def folders(service: str) -> list[Path]:
    """The folders that the image of a service holds, relative to the repository. Raises KeyError: no such service."""
    own = Path("gateway") if service == "gateway" else Path("services", service)
    storage = [Path("services", "storage")] if service in _STORING else []
    return [own, Path("services", "transport"), *storage, *(Path("protos", name) for name in CONTRACTS[service])]


def copy(service: str, repository: Path, destination: Path) -> None:
    """Copy what `folders` names, with the package files above them."""
    for folder in folders(service):
        shutil.copytree(repository / folder, destination / folder, ignore=_LEFT_OUT)
        for above in folder.parents:
            package = repository / above / "__init__.py"
            if above != Path() and package.exists():
                shutil.copy(package, destination / above / "__init__.py")


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in CONTRACTS:
        sys.exit(f"SERVICE is one of {', '.join(CONTRACTS)}; for example --build-arg SERVICE=rag")
    copy(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
