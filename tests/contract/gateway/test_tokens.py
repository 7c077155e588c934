import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest

from tests.contract.gateway.house import House, open_house, problem

SECRET = "a secret that only the tests know, " * 2
HELD: dict[str, Any] = {"sub": "ada", "tenant": "acme", "aud": "diglot", "iss": "https://login.example.com"}


def token(*, secret: str = SECRET, algorithm: str = "HS256", without: str = "", **changed: Any) -> str:
    claims = {**HELD, "exp": int(time.time()) + 3_600, **changed}
    claims.pop(without, None)
    return jwt.encode(claims, secret, algorithm=algorithm)


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


@pytest.fixture
async def locked() -> AsyncIterator[House]:
    async with open_house(
        identity="jwt", jwt_secret_key=SECRET, jwt_issuer="https://login.example.com", environment="production"
    ) as house:
        yield house


async def test_a_token_lets_its_subject_in_as_its_tenant(locked: House) -> None:
    response = await locked.client.post("/query/sql/generate", json={"query": "customers"}, headers=bearer(token()))

    assert response.status_code == 200
    assert [query.owner for query in locked.sql.queries.values()] == ["acme/ada"]


async def test_a_token_without_a_tenant_belongs_to_the_default_one(locked: House) -> None:
    await locked.client.post(
        "/query/sql/generate", json={"query": "customers"}, headers=bearer(token(without="tenant"))
    )

    assert [query.owner for query in locked.sql.queries.values()] == ["default/ada"]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (token(exp=1), "expired"),
        (token(without="exp"), "lacks the claim `exp`"),
        (token(without="aud"), "lacks the claim `aud`"),
        (token(without="iss"), "lacks the claim `iss`"),
        (token(without="sub"), "lacks the claim `sub`"),
        (token(aud="another"), "is not for `diglot`"),
        (token(iss="https://evil.example.com"), "is not for `diglot` from"),
        (token(secret="another secret that is as long as the right one"), "does not hold"),
        (token(algorithm="HS512"), "does not hold"),
        (token(algorithm="none", secret=""), "does not hold"),
        (token(tenant=""), "`sub` and `tenant`"),
        (token(tenant=["acme"]), "`sub` and `tenant`"),
        (token(tenant=" acme"), "`sub` and `tenant`"),
        (token(tenant="ac\0me"), "`sub` and `tenant`"),
        (token(tenant="\ud800"), "`sub` and `tenant`"),
        (token(sub="ada\u202e"), "`sub` and `tenant`"),
        (token(roles=["user", "ad\nmin"]), "`roles`"),
        (token(roles=[f"ещёроль{place}" for place in range(120)]), "too long together"),
        (token(exp="soon"), "does not hold"),
        (token(exp=float("inf")), "does not hold"),
        (token(exp=float("nan")), "does not hold"),
        (token(aud=[["diglot"]]), "is not for `diglot`"),
        (f"{urlsafe_b64encode(b'[' * 5_000).decode()}.e30.x", "does not hold"),
        (token(roles="admin"), "`roles`"),
        ("no.token.atall", "does not hold"),
        ("x" * 9_000, "does not hold"),
        ("", "Send a token"),
    ],
)
async def test_a_token_that_does_not_hold_is_refused(locked: House, sent: str, said: str) -> None:
    response = await locked.client.get("/documents", headers=bearer(sent))

    body = problem(response, 401, "TOKEN_INVALID")
    assert said in body["detail"]
    assert SECRET not in response.text
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("tenant", ["Bäckerei 東京", "default:documents", "a#b", "../other", "x" * 200])
async def test_a_tenant_may_have_any_printable_name(locked: House, tenant: str) -> None:
    sent = bearer(token(tenant=tenant, roles=["user"] * 60))
    response = await locked.client.post("/query/sql/generate", json={"query": "customers"}, headers=sent)

    assert response.status_code == 200
    assert [query.owner for query in locked.sql.queries.values()] == [f"{tenant}/ada"]


async def test_an_api_key_header_is_no_token(locked: House) -> None:
    problem(await locked.client.get("/documents", headers={"X-API-Key": token()}), 401, "TOKEN_INVALID")


async def test_openapi_tells_how_to_send_a_token(locked: House) -> None:
    document = (await locked.client.get("/openapi.json")).json()

    assert document["components"]["securitySchemes"]["bearer"]["bearerFormat"] == "JWT"
    assert document["paths"]["/query"]["post"]["security"] == [{"bearer": []}]
