"""deploy/README.md as a program: its blocks, run by a shell in which only what reaches a network is stood in for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "deploy" / "README.md"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_IN_A_TABLE = re.compile(r"`((?:aws|\.venv/bin/python|make) [^`]+)`")

# What reaches elsewhere. Each call is noted with its words and what came in; replies are what the guide goes on with.
_STOOD_IN_FOR = ("aws", "docker", "make", "git", "psql", ".venv/bin/python")
_STAND_IN = f"""#!{sys.executable}
import json, os, sys
name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
reads = any(word in ("file:///dev/stdin", "--password-stdin") for word in words)
note = {{"program": name, "words": words, "input": sys.stdin.read() if reads else ""}}
with open(os.environ["GUIDE_NOTES"], "a") as notes:
    notes.write(json.dumps(note) + "\\n")
replies = {{"get-caller-identity": "123456789012", "get-login-password": "pass", "rev-parse": "4f2c1e"}}
query = " ".join(words)
for output, reply in (
    ("'Url'", "https://abc123.lambda-url.us-east-1.on.aws/"),
    ("'CacheBucketName'", "rag-cache-diglot-123456789012-us-east-1"),
    ("'AlarmTopicArn'", "arn:aws:sns:us-east-1:123456789012:diglot-alarms"),
):
    if output in query:
        print(reply)
for word, reply in replies.items():
    if word in words:
        print(reply)
"""


@dataclass(frozen=True)
class Command:
    """A program that the guide starts, its arguments, and what it reads."""

    program: str
    words: tuple[str, ...]
    input: str = ""


def blocks(language: str) -> list[str]:
    """The guide's fenced blocks of a language, in order."""
    return [text for told, text in _FENCE.findall(GUIDE.read_text(encoding="utf-8")) if told == language]


def commands_in_tables() -> list[str]:
    """Commands written inline, in tables and sentences."""
    return list(_IN_A_TABLE.findall(_FENCE.sub("", GUIDE.read_text(encoding="utf-8"))))


def run(folder: Path, scripts: Sequence[str]) -> list[Command]:
    """Run the scripts as one shell session, and return what was started.

    Raises: AssertionError: the shell refused or a command failed.
    """
    for name in _STOOD_IN_FOR:
        path = folder / ("bin" if "/" not in name else "") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_STAND_IN)
        path.chmod(0o755)
    (folder / "deploy").symlink_to(ROOT / "deploy")
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "GUIDE_NOTES": str(folder / "notes"),
        "OPENAI_API_KEY": "sk-test",
        "PINECONE_API_KEY": "pc-test",
        "OWNER_URL": "postgresql://owner:secret@db.example.com:5432/shop",
        "DATABASE_URL": "postgresql://diglot_reader:change-me@db.example.com:5432/shop",
    }
    script = "set -euo pipefail\n" + "\n".join(scripts)
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    notes = [json.loads(line) for line in (folder / "notes").read_text().splitlines()]
    return [Command(note["program"], tuple(note["words"]), note["input"]) for note in notes]
