"""What an image holds, what it leaves out, and how much it weighs."""

import json
import os

import pytest

from deploy.images.sources import CONTRACTS
from tests.deploy.conftest import Record
from tests.deploy.docker import SERVICES, docker, image_of, inspect, python_in, run_docker

BASE_IMAGE = os.environ.get("BASE_IMAGE", "public.ecr.aws/lambda/python:3.12")
# Unpacked, on top of the base image.
BUDGET_MEGABYTES = {"gateway": 150, "router": 150, "rag": 250, "sql": 350, "ingest": 600}

_LIST_SOURCE = """
import json, pathlib
root = pathlib.Path("/var/task")
paths = [path.relative_to(root).parts for path in root.rglob("*.py")]
print(json.dumps(sorted({parts[:2] for parts in paths if len(parts) > 2 or parts[0] == "gateway"})))
"""

# Every import that a service's own modules lead to, those inside functions too; not those that only type checkers see.
_TRY_IMPORTS = """
import ast, importlib, pathlib, sys

class Imports(ast.NodeVisitor):
    def __init__(self): self.modules, self.members = set(), set()
    def visit_If(self, node):
        if "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse: self.visit(other)
        else: self.generic_visit(node)
    def visit_Import(self, node): self.modules |= {alias.name for alias in node.names}
    def visit_ImportFrom(self, node):
        self.modules.add(node.module)
        self.members |= {f"{node.module}.{alias.name}" for alias in node.names}

root, package, optional = pathlib.Path("/var/task"), sys.argv[1], sys.argv[2:]
paths = {".".join(path.relative_to(root).with_suffix("").parts): path for path in root.rglob("*.py")}
to_read = [name for name in paths if name.startswith(package)]
seen, wanted = set(to_read), set()
while to_read:
    found = Imports()
    found.visit(ast.parse(paths[to_read.pop()].read_text()))
    wanted |= found.modules
    new = {name for name in found.modules | found.members if name in paths} - seen
    seen |= new
    to_read += new
missing = {}
for name in sorted(wanted):
    # Its adapter, which is imported here too, stands in for the plotting before it imports vanna; see trimming.py.
    if name.split(".")[0] in ("vanna", "plotly", *optional): continue
    try: importlib.import_module(name)
    except ImportError as error: missing[name] = str(error)
print(missing)
"""
# Installed with a build argument.
_OPTIONAL = {"ingest": ("docling", "docling_core")}


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_stays_within_its_weight(service: str, record: Record) -> None:
    base, image = inspect(BASE_IMAGE), inspect(image_of(service))
    layers = base["RootFS"]["Layers"]
    assert image["RootFS"]["Layers"][: len(layers)] == layers, f"{image_of(service)} does not stand on {BASE_IMAGE}"

    megabytes = (image["Size"] - base["Size"]) / 1e6

    record("image_megabytes", service, {"on_top_of_base": round(megabytes, 1), "budget": BUDGET_MEGABYTES[service]})
    assert megabytes <= BUDGET_MEGABYTES[service]


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_its_own_source_and_no_other_services(service: str) -> None:
    folders = {"/".join(parts) for parts in json.loads(python_in(image_of(service), _LIST_SOURCE))}

    others = {f"services/{name}" for name in SERVICES} - {f"services/{service}"}
    assert folders & others == set()
    assert ("gateway" in {folder.split("/")[0] for folder in folders}) is (service == "gateway")
    assert {folder for folder in folders if folder.startswith("protos/")} == {f"protos/{n}" for n in CONTRACTS[service]}


@pytest.mark.parametrize("service", SERVICES)
def test_everything_that_the_source_imports_is_in_the_image(service: str) -> None:
    package = "gateway" if service == "gateway" else f"services.{service}"

    printed = python_in(image_of(service), _TRY_IMPORTS, package, *_OPTIONAL.get(service, ()))

    assert printed.strip() == "{}"


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_runs_as_nobody_in_particular_and_says_what_it_is(service: str) -> None:
    config = inspect(image_of(service))["Config"]

    assert config["User"] == "10001:10001"
    assert config["Labels"]["org.opencontainers.image.title"] == image_of(service)
    assert config["Cmd"] == ["handler"]
    assert {"HOME=/tmp", "TMPDIR=/tmp", "PYTHONDONTWRITEBYTECODE=1"} <= set(config["Env"])


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_keeps_no_secret_no_address_of_an_index_and_no_installer(service: str) -> None:
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image_of(service)).lower()
    config = json.dumps(inspect(image_of(service))["Config"]).lower()

    for word in ("password", "secret=", "index-url", "index_url", "://"):
        assert word not in config
        assert word not in history
    assert run_docker("run", "--rm", "--entrypoint", "ls", image_of(service), "/opt/diglot/packages/uv").returncode != 0


@pytest.mark.parametrize("service", SERVICES)
def test_a_wrong_command_and_a_missing_setting_are_told(service: str) -> None:
    unknown = run_docker("run", "--rm", image_of(service), "sreve")
    unset = run_docker("run", "--rm", image_of(service), "serve")

    assert unknown.returncode == 64
    assert "handler, serve, healthy" in unknown.stderr
    assert unset.returncode == 1
    assert "DIGLOT_INTERNAL_KEY: is not set" in unset.stderr
