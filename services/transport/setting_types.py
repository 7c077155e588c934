"""Types of settings that several services read: keys, addresses of other people's APIs, names of things."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, HttpUrl, SecretStr, StringConstraints


def check_key(key: SecretStr) -> SecretStr:
    """The key without blanks around it: it travels in a header. Raises ValueError: no header can carry it."""
    value = key.get_secret_value().strip()
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("holds blanks or signs that no key has")
    return SecretStr(value)


def check_bare_url(url: HttpUrl) -> HttpUrl:
    """The URL itself, fit to be shown and logged. Raises ValueError: it holds a user, a password or a query."""
    if url.username or url.password or url.query:
        raise ValueError("holds a user, a password or a query: keys go into settings of their own")
    return url


def none_when_blank(value: object) -> object:
    """None for an empty text: a compose file or a template hands on a variable that nobody set as an empty one.

    For a settings class: `_blank_is_unset = field_validator("key", "url", mode="before")(none_when_blank)`.
    """
    return None if isinstance(value, str) and not value.strip() else value


ApiKey = Annotated[SecretStr, AfterValidator(check_key)]
BareUrl = Annotated[HttpUrl, AfterValidator(check_bare_url)]
Stripped = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
