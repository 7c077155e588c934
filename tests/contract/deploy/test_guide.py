"""Every command of deploy/README.md runs in a shell, and means something to the program it starts."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from functools import cache, partial
from pathlib import Path

import botocore.session
import psycopg
import pytest
from botocore import xform_name

from deploy.aws.stack_template import TEMPLATES, Template
from deploy.local.embedded_postgres import EmbeddedPostgres, programs_folder
from services.sql.adapters.postgres_role import read_findings
from services.sql.adapters.postgres_session import open_target_pool
from tests.contract.deploy.guide import GUIDE, ROOT, Command, blocks, commands_in_tables, run
from tests.contract.deploy.test_environments import SECRETS

# Commands that the AWS CLI has besides the services' own operations, with the options the guide may use.
_CLI_COMMANDS = {
    ("cloudformation", "deploy"): {
        "--stack-name",
        "--template-file",
        "--s3-bucket",
        "--capabilities",
        "--parameter-overrides",
    },
    ("cloudformation", "wait"): {"--stack-name"},
    ("cloudformation", "package"): {"--template-file", "--s3-bucket", "--output-template-file"},
    ("ecr", "get-login-password"): set(),
    ("s3", "mb"): set(),
}
_CLI_GLOBALS = {"--query", "--output", "--region"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the guide is followed."""
    return tmp_path_factory.mktemp("guide")


@pytest.fixture(scope="module")
def commands(folder: Path) -> list[Command]:
    """What the guide starts, from its first block to its last and then in its tables."""
    inline = [line for line in commands_in_tables() if "…" not in line]
    return run(folder, [*blocks("bash"), *inline, 'printf %s "$DIGLOT_API_KEY" > first-key'])


def of(commands: list[Command], program: str) -> list[Command]:
    return [command for command in commands if command.program == program]


def test_every_block_is_a_shell_script_that_bash_accepts() -> None:
    for script in [*blocks("bash"), *commands_in_tables()]:
        checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
        assert checked.returncode == 0, (script, checked.stderr)
    assert set(re.findall(r"^```(\w+)$", GUIDE.read_text(), re.MULTILINE)) == {"bash"}


def test_every_aws_command_is_one_that_the_api_has(commands: list[Command]) -> None:
    calls = of(commands, "aws")

    faults = [fault for call in calls if (fault := _fault_of_aws(call.words))]

    assert faults == []
    assert len(calls) > 15


def test_a_command_the_api_does_not_have_would_be_seen() -> None:
    assert _fault_of_aws(("lambda", "get-account-setting")) == "there is no lambda get-account-setting"
    assert _fault_of_aws(("ecr", "describe-images", "--repository", "x")) == "ecr describe-images takes no --repository"
    assert _fault_of_aws(("dynamodb", "describe-table")) == "dynamodb describe-table needs --table-name"


def test_every_make_target_and_program_is_there(commands: list[Command]) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    targets |= {"unit", "contract", "integration", "e2e"}

    asked = {word for command in of(commands, "make") for word in command.words if "=" not in word}

    assert asked <= targets
    assert {"setup", "images", "costs"} <= asked


def test_every_program_of_ours_knows_its_options(commands: list[Command]) -> None:
    calls = of(commands, "python")

    for call in calls:
        assert call.words[0] == "-m", call
        manual = _manual(call.words[1])
        for word in call.words[2:]:
            if word.startswith("--"):
                assert re.search(rf"{word}\b", manual), f"{call.words[1]} knows no {word}"
    assert {call.words[1] for call in calls} == {
        "deploy.aws.release",
        "deploy.aws.rollback",
        "deploy.aws.redrive",
        "deploy.aws.smoke",
        "deploy.aws.kept",
        "deploy.costs.lambda_cost",
    }


def test_stacks_are_given_parameters_they_have_in_files_that_exist(commands: list[Command]) -> None:
    deployed = {}
    for call in of(commands, "aws"):
        if call.words[:2] == ("cloudformation", "deploy"):
            options = _options(call.words[2:])
            (path,) = options["--template-file"]
            template = "template.yaml" if path == "build/stack.yaml" else Path(path).name
            given = dict(pair.split("=", 1) for pair in options["--parameter-overrides"])
            deployed[template] = Template.read(TEMPLATES / template).parameters(given)

    assert set(deployed) == {"bootstrap.yaml", "repositories.yaml", "template.yaml", "edge.yaml"}
    for template, values in deployed.items():
        missing = [name for name, value in values.items() if value == name.upper()]
        assert missing == [], template
    assert deployed["template.yaml"]["RagImageUri"].endswith("/diglot-rag:4f2c1e")
    assert deployed["template.yaml"]["SqlGenerator"] == "vanna"


def test_secrets_are_put_as_the_functions_read_them(commands: list[Command], folder: Path) -> None:
    put = {
        _options(call.words)["--secret-id"][0].removeprefix("diglot/"): json.loads(call.input)
        for call in of(commands, "aws")
        if call.words[:2] == ("secretsmanager", "put-secret-value")
    }

    assert all(set(keys) <= set(SECRETS[name]) for name, keys in put.items())
    assert set(put) == set(SECRETS) - {"store"}  # rows are in DynamoDB there
    (digest,) = put["gateway"]["GATEWAY_API_KEYS"]
    assert digest == hashlib.sha256((folder / "first-key").read_bytes()).hexdigest()
    assert len(put["shared"]["DIGLOT_INTERNAL_KEY"]) >= 32
    assert not any("sk-test" in word for call in commands for word in call.words)  # never in a process's arguments


def test_images_are_pushed_under_the_names_that_the_stack_is_given(commands: list[Command]) -> None:
    pushed = {call.words[1] for call in of(commands, "docker") if call.words[0] == "push"}

    registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    assert pushed == {f"{registry}/diglot-{part}:4f2c1e" for part in ("gateway", "router", "rag", "sql", "ingest")}


async def test_the_role_that_the_guide_makes_can_read_and_do_nothing_else(postgres_server: EmbeddedPostgres) -> None:
    (script,) = [block for block in blocks("bash") if "create_reader.sql" in block]
    # Roles are the server's, and the sample shop has one of the usual name there.
    script = script.replace("-f ", "-v reader=guide_reader -f ")
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE guide_shop")
    try:
        with psycopg.connect(postgres_server.url("guide_shop"), autocommit=True) as connection:
            connection.execute("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)")
        environment = {
            "PATH": f"{programs_folder()}:{os.defpath}",
            "OWNER_URL": postgres_server.url("guide_shop"),
        }
        follow = partial(subprocess.run, cwd=ROOT, env=environment, check=True, capture_output=True)
        await asyncio.to_thread(follow, ["bash", "-ec", script])

        url = postgres_server.url("guide_shop", "guide_reader", "change-me")
        async with (
            open_target_pool(url, max_connections=1, checkout_wait_seconds=5) as pool,
            pool.connection() as connection,
        ):
            assert (await read_findings(connection)).powers == ()
        with psycopg.connect(url) as reader:
            assert reader.execute("SELECT count(*) FROM orders").fetchone() == (1,)
            with pytest.raises(psycopg.Error):
                reader.execute("DELETE FROM orders")
    finally:
        with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
            connection.execute("DROP DATABASE guide_shop WITH (FORCE)")
            connection.execute("DROP ROLE IF EXISTS guide_reader")


def test_what_the_guide_says_questions_cost_is_what_the_reckoning_says() -> None:
    committed = ROOT / "deploy" / "costs" / "measurements.json"
    reckoned = subprocess.run(
        [sys.executable, "-m", "deploy.costs.lambda_cost", "--measurements", str(committed)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    figure = re.search(r"split: +([0-9.]+) USD", reckoned)

    assert figure is not None
    assert f"{float(figure[1]):.2f} USD, against 22.83" in GUIDE.read_text()


def test_the_guide_stays_a_page() -> None:
    assert len(GUIDE.read_text().splitlines()) <= 200


def _fault_of_aws(words: tuple[str, ...]) -> str:
    """What is wrong with an `aws` command, or nothing."""
    service, operation, *rest = words
    given = set(_options(tuple(rest))) - {""} - _CLI_GLOBALS
    if (service, operation) in _CLI_COMMANDS:
        unknown = given - _CLI_COMMANDS[service, operation]
        return f"{service} {operation} takes no {min(unknown)}" if unknown else ""
    known = _operations(service)
    if operation not in known:
        return f"there is no {service} {operation}"
    members, required = known[operation]
    unknown = {option for option in given if option.replace("--no-", "--") not in members}
    if unknown:
        return f"{service} {operation} takes no {min(unknown)}"
    missing = required - given
    return f"{service} {operation} needs {min(missing)}" if missing else ""


@cache
def _operations(service: str) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """Operations as the CLI spells them, with the options they take and those they need."""
    model = botocore.session.get_session().get_service_model("s3" if service == "s3api" else service)
    found = {}
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        members = shape.members if shape is not None else {}
        required = shape.required_members if shape is not None else []
        found[xform_name(name, "-")] = (
            frozenset(f"--{xform_name(member, '-')}" for member in members),
            frozenset(f"--{xform_name(member, '-')}" for member in required),
        )
    return found


def _options(words: tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"": []}
    current = ""
    for word in words:
        if word.startswith("--"):
            current = word
            found.setdefault(current, [])
        else:
            found[current].append(word)
    return found


@cache
def _manual(module: str) -> str:
    done = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, (module, done.stderr)
    return done.stdout


def test_commands_in_sentences_are_words_that_a_shell_reads() -> None:
    assert all(shlex.split(line) for line in commands_in_tables())
