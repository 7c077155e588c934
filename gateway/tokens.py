"""JSON Web Tokens of users: verified with one secret, never by what the token says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt

from gateway.names import MAX_NAME_CHARACTERS, can_be_carried, is_name
from services.transport.identity import Caller

if TYPE_CHECKING:
    from gateway.settings import GatewaySettings

_ALGORITHM = "HS256"  # fixed: a token never chooses how it is verified
_LEEWAY_SECONDS = 5  # clocks of two machines differ a little
_MAX_TOKEN_CHARACTERS = 8_192
_DEFAULT_TENANT = "default"


class TokenRefused(Exception):
    """A token that does not hold; the text says why and is fit for its sender."""


def caller_of_token(token: str, settings: GatewaySettings) -> Caller:
    """Whom a token speaks for: `sub`, `tenant` ("default" without one) and `roles` (["user"] without any).

    Raises: TokenRefused: a claim is missing, wrong or no name, or the signature does not hold.
    """
    if settings.jwt_secret_key is None or len(token) > _MAX_TOKEN_CHARACTERS:
        raise TokenRefused("The token does not hold.")
    try:
        payload = jwt.decode(
            token,
            settings.jwt_secret_key.get_secret_value(),
            algorithms=[_ALGORITHM],
            audience=settings.jwt_audience,
            issuer=settings.jwt_issuer,
            leeway=_LEEWAY_SECONDS,
            options={"require": ["exp", "aud", "iss", "sub"]},
        )
    except jwt.ExpiredSignatureError:
        raise TokenRefused("The token has expired: get a new one.") from None
    except jwt.MissingRequiredClaimError as error:
        raise TokenRefused(f"The token lacks the claim `{error.claim}`.") from None
    except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
        raise TokenRefused(f"The token is not for `{settings.jwt_audience}` from `{settings.jwt_issuer}`.") from None
    except (jwt.InvalidTokenError, UnicodeError):
        raise TokenRefused("The token does not hold.") from None
    subject, tenant, roles = payload["sub"], payload.get("tenant", _DEFAULT_TENANT), payload.get("roles", ["user"])
    if not is_name(subject) or not is_name(tenant):
        raise TokenRefused(
            f"`sub` and `tenant` of a token are texts of 1 to {MAX_NAME_CHARACTERS} printable characters, "
            "with no blanks around them."
        )
    if not isinstance(roles, list) or not all(is_name(role) for role in roles):
        raise TokenRefused("`roles` of a token is a list of names.")
    if not can_be_carried([subject, tenant, *roles]):
        raise TokenRefused("`sub`, `tenant` and `roles` of a token are too long together.")
    return Caller(tenant, subject, frozenset(roles))
