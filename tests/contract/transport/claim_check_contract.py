"""What a store of claim checks does, wherever it keeps the bodies."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

import pytest

from services.transport.claim_check import ClaimCheckStore
from services.transport.errors import ClaimCheckUnavailable

TTL_SECONDS = 60.0
SEVEN_MEGABYTES = 7_000_000


class StoredBodies(Protocol):
    """What a test sees and does behind the store's back."""

    def names(self) -> set[str]:
        """Of everything that is stored."""

    def age(self, key: str, seconds: float) -> None:
        """Make a body so much older."""

    def remove(self, key: str) -> None:
        """As a lifecycle rule or a sweep does."""


@dataclass(frozen=True)
class Kept:
    """A store with a time to live of TTL_SECONDS, another one over the same bodies, and a look behind both."""

    store: ClaimCheckStore
    other: ClaimCheckStore
    bodies: StoredBodies


class ClaimCheckContract:
    """Each store runs these."""

    @pytest.fixture
    @abstractmethod
    def kept(self) -> Kept:
        """A store with nothing in it."""

    @pytest.fixture
    @abstractmethod
    def broken(self) -> ClaimCheckStore:
        """A store that can neither write nor read."""

    async def test_a_body_comes_back_as_often_as_it_is_asked_for(self, kept: Kept) -> None:
        key = await kept.store.put(b"body")

        assert await kept.store.get(key) == b"body"
        assert await kept.store.get(key) == b"body"

    async def test_another_process_reads_the_body(self, kept: Kept) -> None:
        key = await kept.store.put(b"body")

        assert await kept.other.get(key) == b"body"

    @pytest.mark.parametrize("data", [b"", bytes(range(256)) * 4, bytes(SEVEN_MEGABYTES)], ids=["none", "any", "many"])
    async def test_every_byte_comes_back(self, kept: Kept, data: bytes) -> None:
        assert await kept.store.get(await kept.store.put(data)) == data

    async def test_keys_are_64_hexadecimal_digits_never_the_same(self, kept: Kept) -> None:
        keys = {await kept.store.put(b"body") for _ in range(5)}

        assert len(keys) == 5
        assert all(len(key) == 64 and set(key) <= set("0123456789abcdef") for key in keys)

    @pytest.mark.parametrize(
        "key", ["../secret", "/etc/passwd", "", ".", "A" * 64, "0" * 63, "0" * 64 + "\n", "claims/" + "0" * 64]
    )
    async def test_a_key_that_is_none_is_refused(self, kept: Kept, key: str) -> None:
        with pytest.raises(ClaimCheckUnavailable, match="malformed"):
            await kept.store.get(key)

    async def test_a_key_that_was_not_given_out_finds_nothing(self, kept: Kept) -> None:
        await kept.store.put(b"body")

        with pytest.raises(ClaimCheckUnavailable, match="unknown or has expired"):
            await kept.store.get("0" * 64)

    async def test_a_body_that_was_cleared_away_is_unknown(self, kept: Kept) -> None:
        key = await kept.store.put(b"body")
        kept.bodies.remove(key)

        with pytest.raises(ClaimCheckUnavailable, match="unknown or has expired"):
            await kept.store.get(key)

    async def test_a_body_past_its_time_is_gone_even_while_it_lies_there(self, kept: Kept) -> None:
        key = await kept.store.put(b"body")
        kept.bodies.age(key, TTL_SECONDS + 5)

        with pytest.raises(ClaimCheckUnavailable, match="expired"):
            await kept.store.get(key)
        assert kept.bodies.names()

    async def test_a_body_is_readable_to_the_end_of_its_time(self, kept: Kept) -> None:
        key = await kept.store.put(b"body")
        kept.bodies.age(key, TTL_SECONDS - 30)

        assert await kept.store.get(key) == b"body"

    async def test_a_store_that_cannot_write_says_so(self, broken: ClaimCheckStore) -> None:
        with pytest.raises(ClaimCheckUnavailable, match="cannot be stored"):
            await broken.put(b"body")

    async def test_a_store_that_cannot_read_says_so(self, broken: ClaimCheckStore) -> None:
        with pytest.raises(ClaimCheckUnavailable, match="a stored body"):
            await broken.get("0" * 64)
