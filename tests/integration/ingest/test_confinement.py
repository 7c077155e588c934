"""What a process can do no more once it has confined itself, tried for real."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_ATTEMPTS = """
import json, os, resource, socket, subprocess, sys, threading
from services.ingest.adapters.confinement import confine, limit

folder = sys.argv[1]
limit(memory_bytes=200 * 1024 * 1024, cpu_seconds=20)
confined = confine(network_only=sys.argv[2] == "network", may_fork=sys.argv[2] == "fork")


def attempt(action):
    try:
        action()
    except BaseException as error:
        return type(error).__name__
    return ""


def fork():
    if os.fork() == 0:
        os._exit(0)
    os.wait()


def in_a_thread():
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


actions = {
    "network": lambda: socket.socket(),
    "unix": lambda: socket.socket(socket.AF_UNIX),
    "program": lambda: subprocess.run(["true"], check=True),
    "fork": fork,
    "write": lambda: open(folder + "/new", "w"),
    "append": lambda: open(folder + "/kept", "a"),
    "remove": lambda: os.unlink(folder + "/kept"),
    "rename": lambda: os.rename(folder + "/kept", folder + "/moved"),
    "folder": lambda: os.mkdir(folder + "/made"),
    "read": lambda: open(folder + "/kept").read(),
    "import": lambda: __import__("decimal"),
    "thread": in_a_thread,
    "memory": lambda: bytearray(300 * 1024 * 1024),
}
told = {name: attempt(action) for name, action in actions.items()}
print(json.dumps({"confined": confined, **told}))
"""


def attempts(folder: Path, mode: str) -> dict[str, str]:
    (folder / "kept").write_text("kept")
    command = [sys.executable, "-c", _ATTEMPTS, str(folder), mode]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    if not told.pop("confined"):
        pytest.skip("the kernel takes no filter of system calls here")
    return dict(told)


def test_a_confined_process_reads_computes_and_can_do_nothing_else(tmp_path: Path) -> None:
    told = attempts(tmp_path, "all")

    refused = {name for name, error in told.items() if error == "PermissionError"}
    assert refused == {"network", "unix", "program", "fork", "write", "append", "remove", "rename", "folder"}
    assert told["memory"] == "MemoryError"
    assert told["read"] == told["import"] == told["thread"] == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]


def test_one_that_reads_with_models_loses_the_network_alone(tmp_path: Path) -> None:
    told = attempts(tmp_path, "network")

    assert {name for name, error in told.items() if error == "PermissionError"} == {"network", "unix"}


def test_one_that_may_make_copies_of_itself_starts_no_other_program(tmp_path: Path) -> None:
    told = attempts(tmp_path, "fork")

    assert told["fork"] == ""
    assert told["program"] == told["write"] == told["network"] == "PermissionError"
