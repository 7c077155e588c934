"""What a folder of claim checks does besides what every store of them does, see the contract."""

from __future__ import annotations

import os
import time
from pathlib import Path

from services.transport.claim_check import LocalClaimChecks, open_claim_checks
from services.transport.s3_claim_checks import S3ClaimChecks
from services.transport.settings import TransportSettings


def _age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_bodies_are_private(tmp_path: Path) -> None:
    store = LocalClaimChecks(tmp_path / "claims", ttl_seconds=60)

    await store.put(b"body")

    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "claims").iterdir()} == {0}


async def test_expired_bodies_are_swept_and_nothing_else(tmp_path: Path) -> None:
    key = await LocalClaimChecks(tmp_path, ttl_seconds=60).put(b"old")
    (tmp_path / "precious.txt").write_text("keep me")
    (tmp_path / f"{'0' * 64}.part").write_text("left by a killed writer")
    for name in _names(tmp_path):
        _age(tmp_path / name, 100)

    fresh = await LocalClaimChecks(tmp_path, ttl_seconds=60).put(b"new")

    assert _names(tmp_path) == {"precious.txt", fresh}
    assert key != fresh


def test_settings_choose_the_store(tmp_path: Path) -> None:
    nowhere = TransportSettings(internal_key="x" * 32)

    assert open_claim_checks(nowhere) is None
    assert isinstance(open_claim_checks(nowhere.model_copy(update={"claim_check_dir": tmp_path})), LocalClaimChecks)
    assert isinstance(open_claim_checks(nowhere.model_copy(update={"claim_check_bucket": "claims"})), S3ClaimChecks)
