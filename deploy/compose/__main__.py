"""The cluster of docker-compose.yml, up and down: `python -m deploy.compose up|down [--volumes]`.

With the standard library alone. COMPOSE names the compose command, `docker compose` when it is not set; ENV_FILE the
file of secrets and settings.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from deploy.compose import environment

REPOSITORY = Path(__file__).resolve().parents[2]
_WAIT_SECONDS = 300


def main(arguments: list[str]) -> int:
    env_file = Path(os.environ.get("ENV_FILE", REPOSITORY / ".env"))
    match arguments:
        case ["up"]:
            return up(env_file)
        case ["down"]:
            return _compose(env_file, "--profile", "sample", "down", "--remove-orphans")
        case ["down", "--volumes"]:
            return _compose(env_file, "--profile", "sample", "down", "--remove-orphans", "--volumes")
        case _:
            sys.exit("python -m deploy.compose up | down [--volumes]")


def up(env_file: Path) -> int:
    """Start what does not run yet, wait until all of it is well, load the sample, and say what to try."""
    if environment.complete(env_file):
        _say(f"fresh secrets are in {env_file}")
    code = _compose(
        env_file, "up", "--detach", "--no-build", "--remove-orphans", "--wait", f"--wait-timeout={_WAIT_SECONDS}"
    )
    if code:
        _say("not all is well; `docker logs` of the service named above says why")
        return code
    settings = {**environment.read(env_file), **os.environ}
    if settings.get("DIGLOT_SAMPLE", "1") != "0":
        code = _compose(env_file, "--profile", "sample", "run", "--rm", "--no-deps", "sample")
        if code:
            return code
    url = f"http://{settings.get('DIGLOT_PUBLISH') or '127.0.0.1:8000'}"
    _say(f"Diglot is up at {url}; `make down` stops it")
    _say(
        "A first thing to try:\n"
        f"  curl -s {url}/query -H 'Content-Type: application/json' "
        """-d '{"query": "Show me total sales and explain our vacation policy", "auto_approve_sql": true}'\n"""
        f"All calls: {url}/docs"
    )
    return 0


def _compose(env_file: Path, *arguments: str) -> int:
    command = shlex.split(os.environ.get("COMPOSE", "docker compose"))
    command += ["--file", str(REPOSITORY / "docker-compose.yml"), "--env-file", str(env_file)]
    return subprocess.run([*command, *arguments], env=_variables(env_file), check=False).returncode


def _variables(env_file: Path) -> dict[str, str]:
    """The environment for compose, where a query on the sample may run unasked, and on no other database."""
    settings = {**environment.read(env_file), **os.environ}
    if not settings.get("DATABASE_URL") and not settings.get("SQL_AUTO_APPROVE"):
        return {**os.environ, "SQL_AUTO_APPROVE": "allowed"}
    return dict(os.environ)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
