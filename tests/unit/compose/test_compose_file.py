"""What docker-compose.yml promises for every container, read from the file alone."""

import re
from typing import Any

import pytest
import yaml

from deploy.local.settings import REPOSITORY

TEXT = (REPOSITORY / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
ONCE = {"setup", "sample"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_held_to_what_it_needs(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert not service.get("privileged")


def test_one_port_is_published_and_to_this_machine_alone() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "gateway": ["${DIGLOT_PUBLISH:-127.0.0.1:8000}:8000"]
    }


def test_no_secret_has_a_default() -> None:
    named = re.findall(r"\$\{(\w*(?:PASSWORD|KEY|SECRET|TOKEN)\w*)(:?[?+-]?)", TEXT)

    assert {name: rule for name, rule in named if rule != ":?"} == {}
    assert len(named) > 10


def test_stores_are_reached_from_inside_alone() -> None:
    networks = yaml.safe_load(TEXT)["networks"]

    assert networks["inside"] == {"internal": True}
    assert {tuple(SERVICES[name]["networks"]) for name in ("postgres", "redis", "aws")} == {("inside",)}


def test_everybody_knows_no_more_passwords_than_his_own() -> None:
    known = {
        name: set(re.findall(r"\$\{(\w+PASSWORD)", str(service.get("environment"))))
        for name, service in SERVICES.items()
    }

    assert known["gateway"] == known["router"] == known["sample"] == set()
    assert known["rag"] == {"DIGLOT_RAG_PASSWORD", "REDIS_PASSWORD"}
    assert known["sql"] == {"DIGLOT_SQL_PASSWORD", "DIGLOT_READER_PASSWORD"}
    assert known["ingest"] == {"DIGLOT_INGEST_PASSWORD"}


def test_a_service_waits_for_what_it_cannot_do_without() -> None:
    waits = {name: service.get("depends_on", {}) for name, service in SERVICES.items()}

    assert set(waits["gateway"]) == {"router", "rag", "sql", "ingest"}
    assert all(waits[name]["setup"] == {"condition": "service_completed_successfully"} for name in ("rag", "sql"))
    assert waits["ingest"]["aws"] == {"condition": "service_healthy"}
