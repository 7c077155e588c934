"""What is left out of an image, and that nothing else is."""

from pathlib import Path

import pytest

from deploy.images.trimming import OMITTED, prune, selected, settle, versions
from deploy.local.settings import REPOSITORY

LOCK = """\
alpha==1.0 \\
    --hash=sha256:aa
beta==2.0 ; python_version < '3.12' \\
    --hash=sha256:bb
beta==3.0 ; python_version >= '3.12' \\
    --hash=sha256:cc
gamma==4.0 \\
    --hash=sha256:dd
"""


def test_an_omitted_package_goes_with_its_hashes_and_in_every_version() -> None:
    assert selected(LOCK, frozenset({"beta"})) == (
        "alpha==1.0 \\\n    --hash=sha256:aa\ngamma==4.0 \\\n    --hash=sha256:dd\n"
    )


def test_a_lock_without_omissions_stays_as_it_is() -> None:
    assert selected(LOCK, frozenset()) == LOCK


def test_versions_are_named_without_their_hashes() -> None:
    assert versions(LOCK, ["alpha", "gamma", "delta"]) == "alpha==1.0\ngamma==4.0\n"


def test_a_pattern_omits_all_that_it_fits() -> None:
    assert selected(LOCK, frozenset({"*a"})) == ""


def test_files_of_two_builds_have_one_time(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("x")
    (tmp_path / "link").symlink_to("nowhere")

    settle(tmp_path)

    assert {path.lstat().st_mtime for path in (tmp_path, *tmp_path.rglob("*"))} == {0}


def test_an_omission_that_the_lock_does_not_hold_is_told() -> None:
    with pytest.raises(ValueError, match="delta"):
        selected(LOCK, frozenset({"alpha", "delta"}))


@pytest.mark.parametrize("name", OMITTED)
def test_every_omission_is_in_the_lock_it_is_for(name: str) -> None:
    lock = (REPOSITORY / "requirements" / f"{name}.txt").read_text()

    kept = selected(lock, frozenset(OMITTED[name]))

    assert 0 < kept.count("==") < lock.count("==")


def test_only_what_nobody_uses_is_pruned(tmp_path: Path) -> None:
    kept = [
        "botocore/data/endpoints.json",
        "botocore/data/s3/2006-03-01/service-2.json.gz",
        "numpy/_core/multiarray.py",
        "numpy/testing/__init__.py",
        "onnxruntime/capi/onnxruntime_pybind11_state.so",
        "pandas/core/frame.py",
    ]
    pruned = [
        "bin/tool",
        "botocore/data/ec2/2016-11-15/service-2.json.gz",
        "numpy/_core/tests/test_numeric.py",
        "onnxruntime/capi/libonnxruntime.so.1.31.1",
        "pandas/tests/test_frame.py",
        "yaml/_yaml.pyi",
    ]
    for name in (*kept, *pruned):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 10)

    freed = prune(tmp_path)

    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(kept)
    assert freed == 10 * len(pruned)
