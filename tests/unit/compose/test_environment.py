"""The file of secrets that the cluster is started with."""

from pathlib import Path

from deploy.compose.environment import complete, read
from deploy.local.settings import REPOSITORY


def test_a_first_start_makes_every_secret_that_compose_insists_on(tmp_path: Path) -> None:
    added = complete(tmp_path / "env")

    insisted = {
        part.split(":?")[0]
        for part in (REPOSITORY / "docker-compose.yml").read_text().split("${")
        if ":?" in part.split("}")[0]
    }
    assert set(added) == insisted
    values = read(tmp_path / "env")
    assert len({values[name] for name in added}) == len(added)
    assert all(len(values[name]) >= 32 for name in added)


def test_it_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    complete(tmp_path / "env")

    assert (tmp_path / "env").stat().st_mode & 0o077 == 0


def test_what_is_there_stays_and_what_is_missing_is_added(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("# mine\nPOSTGRES_PASSWORD='of mine'\nREDIS_PASSWORD=\nDATABASE_URL=postgresql://r:p@db/sales?a=b")

    added = complete(path)

    values = read(path)
    assert "POSTGRES_PASSWORD" not in added
    assert "REDIS_PASSWORD" in added
    assert (values["POSTGRES_PASSWORD"], len(values["REDIS_PASSWORD"])) == ("of mine", 48)
    assert values["DATABASE_URL"] == "postgresql://r:p@db/sales?a=b"
    assert path.read_text().startswith("# mine\n")
    assert complete(path) == []
