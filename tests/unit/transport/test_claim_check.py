from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from services.transport.claim_check import LocalClaimChecks, open_claim_checks
from services.transport.errors import ClaimCheckUnavailable
from services.transport.settings import TransportSettings


def _age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_body_comes_back_as_often_as_it_is_asked_for(tmp_path: Path) -> None:
    store = LocalClaimChecks(tmp_path / "claims", ttl_seconds=60)

    key = await store.put(b"body")

    assert await store.get(key) == b"body"
    assert await store.get(key) == b"body"


async def test_keys_are_opaque_and_bodies_private(tmp_path: Path) -> None:
    store = LocalClaimChecks(tmp_path / "claims", ttl_seconds=60)

    keys = {await store.put(b"body") for _ in range(5)}

    assert len(keys) == 5
    assert all(len(key) == 64 for key in keys)
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "claims").iterdir()} == {0}


@pytest.mark.parametrize("key", ["../secret", "/etc/passwd", "", ".", "A" * 64, "0" * 63, "0" * 64 + "\n", "0" * 64])
async def test_a_key_that_was_not_given_out_finds_nothing(tmp_path: Path, key: str) -> None:
    (tmp_path / "secret").write_text("secret")

    with pytest.raises(ClaimCheckUnavailable):
        await LocalClaimChecks(tmp_path / "claims", ttl_seconds=60).get(key)


async def test_a_body_past_its_time_is_gone_even_before_it_is_swept(tmp_path: Path) -> None:
    store = LocalClaimChecks(tmp_path, ttl_seconds=60)
    key = await store.put(b"body")
    _age(tmp_path / key, 61)

    with pytest.raises(ClaimCheckUnavailable, match="expired"):
        await store.get(key)


async def test_expired_bodies_are_swept_and_nothing_else(tmp_path: Path) -> None:
    key = await LocalClaimChecks(tmp_path, ttl_seconds=60).put(b"old")
    (tmp_path / "precious.txt").write_text("keep me")
    (tmp_path / f"{'0' * 64}.part").write_text("left by a killed writer")
    for name in _names(tmp_path):
        _age(tmp_path / name, 100)

    fresh = await LocalClaimChecks(tmp_path, ttl_seconds=60).put(b"new")

    assert _names(tmp_path) == {"precious.txt", fresh}
    assert key != fresh


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ClaimCheckUnavailable, match="cannot be stored"):
        await LocalClaimChecks(tmp_path / "file" / "claims", ttl_seconds=60).put(b"body")


def test_without_a_folder_there_is_no_store(tmp_path: Path) -> None:
    settings = TransportSettings(internal_key="x" * 32)

    assert open_claim_checks(settings) is None
    assert open_claim_checks(settings.model_copy(update={"claim_check_dir": tmp_path})) is not None
