"""Settings of the local system, read from the environment; a malformed one is refused with its name and an example."""

import errno
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.local.errors import SettingsRefused

REPOSITORY = Path(__file__).resolve().parents[2]

_EXAMPLES: Mapping[str, str] = {
    "DIGLOT_HOST": "127.0.0.1",
    "DIGLOT_PORT": "8000",
    "DIGLOT_DATA_DIR": ".diglot",
    "DIGLOT_SAMPLE": "1, or 0 to start empty",
    "DATABASE_URL": "postgresql://reader:password@db.example.com:5432/sales",
}


class LocalSettings(BaseSettings):
    """Where to listen, where to keep data, and which database questions go to."""

    model_config = SettingsConfigDict(env_prefix="DIGLOT_", frozen=True, extra="ignore", populate_by_name=True)

    host: str = Field(default="127.0.0.1", min_length=1, description="Address the REST API listens on.")
    port: int = Field(default=8000, ge=1, le=65_535, description="Port the REST API listens on.")
    data_dir: Path = Field(
        default=REPOSITORY / ".diglot", description="Everything that outlives a stop; made when missing."
    )
    sample: bool = Field(default=True, description="Whether to load the sample shop and the sample documents.")
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="Another PostgreSQL to ask instead of the sample shop.",
    )

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None or not url.get_secret_value().strip():
            return None
        parts = urlsplit(url.get_secret_value())
        if parts.scheme not in ("postgresql", "postgres") or not (parts.netloc or parts.query):
            raise ValueError("it is no PostgreSQL URL")
        return url

    @property
    def local_url(self) -> str:
        """URL under which this machine reaches the REST API, without a slash at its end."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)  # noqa: S104 (compared)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def listen(self) -> str:
        """`host:port` for the gateway."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_settings() -> LocalSettings:
    """Read the environment. Raises: SettingsRefused: naming the first malformed variable."""
    try:
        return LocalSettings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = str(first["loc"][0])
        name = field.upper() if field.upper() in _EXAMPLES else f"DIGLOT_{field.upper()}"
        raise refused(name, first["msg"].removeprefix("Value error, ")) from None


def refused(name: str, why: str) -> SettingsRefused:
    """The error for a variable that cannot be used; never holds the value, which may be a secret."""
    return SettingsRefused(f"{name}: {why}. For example: {name}={_EXAMPLES[name]}")


def check_free(settings: LocalSettings) -> None:
    """Raise SettingsRefused when nothing can listen on the host and port, which is better learnt before the start."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except socket.gaierror:
            raise refused("DIGLOT_HOST", f"there is no host {settings.host!r}") from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise SettingsRefused(
                    f"DIGLOT_PORT: port {settings.port} on {settings.host} is taken by another program. "
                    f"Choose a free one, for example DIGLOT_PORT={settings.port % 65_535 + 1}"
                ) from None
            if error.errno == errno.EACCES:
                raise refused("DIGLOT_PORT", f"port {settings.port} is reserved for privileged users") from None
            raise refused("DIGLOT_HOST", f"cannot listen on {settings.host!r}: {error.strerror}") from None
