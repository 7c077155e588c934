"""PostgreSQL refuses to run as root. As root, it gets a system user of its own and just enough access to its files."""

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

SYSTEM_USER = "pgserver"


@dataclass(frozen=True)
class OperatingUser:
    """The system user PostgreSQL runs as; both None means: as whoever runs this."""

    user: int | None = None
    group: int | None = None

    def own(self, path: Path) -> None:
        """Give a file or folder to this user."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)

    def use(self, programs: Path) -> None:
        """Let this user run what lies in a folder of programs and read what they need, which lies beside it."""
        self.reach(programs / "postgres")
        if self.user is None or (programs / "postgres").stat().st_mode & stat.S_IXOTH:
            return
        for path in (programs.parent, *programs.parent.rglob("*")):  # Installed under a strict umask.
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))

    def reach(self, path: Path) -> None:
        """Let this user pass through the folders above `path`, without letting it list them."""
        if self.user is None:
            return
        for folder in path.resolve().parents:
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def operating_user() -> OperatingUser:
    """The user to run PostgreSQL as. As root, makes a system user once, or takes `nobody` where none can be made."""
    if os.geteuid() != 0:
        return OperatingUser()
    for name in (SYSTEM_USER, "nobody"):
        if name == SYSTEM_USER and not _exists(name) and shutil.which("useradd"):
            command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
            subprocess.run(command, check=False, capture_output=True)  # Two starts at once: one of them makes it.
        if _exists(name):
            entry = pwd.getpwnam(name)
            return OperatingUser(entry.pw_uid, entry.pw_gid)
    raise RuntimeError("PostgreSQL does not run as root and there is no other user; start Diglot as a normal user")


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
