"""What the code of a function calls: its modules, and the methods of AWS clients in them. Read, never run."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import botocore.session
from botocore import xform_name

ROOT = Path(__file__).resolve().parents[3]
ENTRIES = {
    "gateway": "gateway.handler",
    "router": "services.router.handler",
    "rag": "services.rag.handler",
    "sql": "services.sql.handler",
    "ingest": "services.ingest.handler",
    "images": "services.ingest.handler",
}
_OURS = ("gateway", "services")
# What the house calls a client of a kind: `client.run(lambda s3: s3.get_object(...))`.
_RECEIVERS = {"s3": "s3", "db": "dynamodb", "database": "dynamodb", "sqs": "sqs"}
_KINDS = ("s3", "dynamodb", "sqs", "secretsmanager", "ssm", "lambda", "sns")
_S3_EXTRAS = {
    "copy",
    "download_file",
    "download_fileobj",
    "generate_presigned_post",
    "generate_presigned_url",
    "get_paginator",
    "upload_file",
    "upload_fileobj",
}


@dataclass(frozen=True)
class AwsCall:
    """A method of a boto3 client that a module calls."""

    module: str
    kind: str
    method: str


@cache
def modules_of(function: str) -> frozenset[str]:
    """Every module of ours that the function may import, at start or later."""
    return _closure(ENTRIES[function])


@cache
def _closure(entry: str) -> frozenset[str]:
    seen: set[str] = set()
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting.extend(imports_of(module))
    return frozenset(seen)


def source_of(module: str) -> ast.Module:
    """The syntax tree of a module of ours."""
    return _parsed(_path(module))


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _path(module: str) -> Path:
    path = ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def imports_of(module: str) -> frozenset[str]:
    """The modules of ours that a module imports, at start or later."""
    return frozenset(_imports(module))


def _imports(module: str) -> Iterator[str]:
    for node in _run_nodes(source_of(module)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name.split(".")[0] in _OURS and _path(name).is_file())


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those for type checkers alone."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _run_nodes(child)


@cache
def _methods() -> Mapping[str, frozenset[str]]:
    session = botocore.session.get_session()
    found = {kind: {xform_name(name) for name in session.get_service_model(kind).operation_names} for kind in _KINDS}
    found["s3"] |= _S3_EXTRAS
    return {kind: frozenset(names) for kind, names in found.items()}


@cache
def aws_calls(module: str) -> frozenset[AwsCall]:
    """The methods of AWS clients that a module calls.

    Raises: AssertionError: a module that uses AWS calls something that looks like a client's method, and it cannot be
    told of which kind of client: name the client as its kind is named (`s3`, `db`, `sqs`).
    """
    tree = source_of(module)
    if not _uses_aws(tree):
        return frozenset()
    calls = set()
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        receiver, method = ast.unparse(node.func.value), node.func.attr
        kinds = [kind for kind, names in _methods().items() if method in names]
        if receiver in _RECEIVERS:
            kind = _RECEIVERS[receiver]
            assert kind in kinds, f"{module}: {receiver}.{method} is no method of {kind}"
            calls.add(AwsCall(module, kind, method))
        elif kinds and "client" in receiver.lower() and not receiver.endswith("secret"):
            assert len(kinds) == 1, f"{module}: {receiver}.{method} may be of {kinds}"
            calls.add(AwsCall(module, kinds[0], method))
    return frozenset(calls)


def _uses_aws(tree: ast.Module) -> bool:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return any(
        name.split(".")[0] in ("boto3", "botocore") or name.startswith(("services.transport.aws", "mypy_boto3"))
        for name in names
    ) or any(name == "services.transport.lambda_clients" for name in names)


# ---- rows: services talk to DynamoDB through services.storage.dynamodb.DynamoTable --------------------------------
TABLE_ROOM = "services.storage.dynamodb"


@dataclass(frozen=True)
class TableUse:
    """What a service's adapters do with one table: IAM's names of actions on it, and the indexes that are queried."""

    actions: frozenset[str]
    indexes: frozenset[str]


@cache
def table_use(modules: frozenset[str], index_names: frozenset[str]) -> TableUse:
    """What these modules, all about one table, do with it."""
    ways = _ways_of_a_table()
    actions = set(ways[""])  # every table is looked at when it is opened
    indexes: set[str] = set()
    for module in modules:
        tree = source_of(module)
        kinds = {_kind_of_write(node) for node in ast.walk(tree) if _is_call_of(node, "Write")}
        actions |= {f"{kind}Item" for kind in kinds}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node.value in index_names:
                indexes.add(str(node.value))
            if isinstance(node, ast.Attribute) and node.attr in ways and ast.unparse(node.value).endswith("table"):
                actions |= ways[node.attr]
    return TableUse(frozenset(actions), frozenset(indexes))


@cache
def _ways_of_a_table() -> Mapping[str, frozenset[str]]:
    """Method of DynamoTable → actions it needs besides the writes handed to it; "" → those of opening it."""
    tree = source_of(TABLE_ROOM)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    (table,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "DynamoTable")
    methods = {node.name: node for node in table.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    found: dict[str, set[str]] = defaultdict(set)

    def actions(node: ast.AST, visited: frozenset[str]) -> set[str]:
        mine: set[str] = set()
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute):
                receiver = ast.unparse(part.value)
                if receiver in _RECEIVERS and part.attr in _methods()["dynamodb"]:
                    mine |= {_action(part.attr)} if part.attr != "transact_write_items" else set()
                elif receiver == "self" and part.attr in methods and part.attr not in visited:
                    mine |= actions(methods[part.attr], visited | {part.attr})
            elif isinstance(part, ast.Name) and part.id in functions and part.id not in visited:
                mine |= actions(functions[part.id], visited | {part.id})
        return mine

    for name, method in methods.items():
        found[name] = actions(method, frozenset({name}))
    found[""] = actions(functions["open_tables"], frozenset({"open_tables"}))
    return {name: frozenset(needed) for name, needed in found.items()}


def _action(method: str) -> str:
    return "".join(part.capitalize() for part in method.split("_"))


def _is_call_of(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _kind_of_write(node: ast.AST) -> str:
    assert isinstance(node, ast.Call)
    names = {keyword.arg for keyword in node.keywords}
    if len(node.args) > 1 or "item" in names:
        return "Put"
    return "Update" if "update" in names else "Delete"
