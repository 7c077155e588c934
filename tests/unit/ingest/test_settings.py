"""Settings: where they come from, and what a wrong one says."""

from pathlib import Path

import pytest

from services.ingest.settings import IngestSettings
from services.transport.errors import SettingsRefused
from services.transport.settings import read_settings

SET = {
    "DIGLOT_INTERNAL_KEY": "k" * 32,
    "DIGLOT_STORE_URL": "postgresql://diglot:secret@host/store",
    "DIGLOT_DATA_DIR": "data",
    "INGEST_RAG_TARGET": "dns:///rag:50051",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SET.items():
        monkeypatch.setenv(name, value)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_CHUNK_TOKENS", "100")

    settings = IngestSettings()

    assert (settings.rag_target, settings.data_dir, settings.chunk_tokens) == ("dns:///rag:50051", Path("data"), 100)
    assert settings.store_url.get_secret_value() == SET["DIGLOT_STORE_URL"]
    assert settings.background_work is True


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("DIGLOT_STORE_URL", "", "DIGLOT_STORE_URL: is not set.*for example DIGLOT_STORE_URL=postgresql://"),
        ("DIGLOT_STORE_URL", "mysql://secret@host", "DIGLOT_STORE_URL: is neither a PostgreSQL address nor dynamodb:"),
        ("INGEST_RAG_TARGET", "no target", "INGEST_RAG_TARGET.*use dns:///rag:50051"),
        ("INGEST_CHUNK_TOKENS", "3000", "INGEST_CHUNK_TOKENS"),
        ("INGEST_LISTEN", "nowhere", "INGEST_LISTEN"),
        ("INGEST_PARSING_MEMORY_BYTES", "9" * 30, "INGEST_PARSING_MEMORY_BYTES: .*for example .*=436207616"),
        ("STORAGE_BACKEND", "ftp", "STORAGE_BACKEND"),
        (
            "STORAGE_BACKEND",
            "s3",
            "S3_CACHE_BUCKET: is not set.*for example S3_CACHE_BUCKET=rag-cache-123456789012-us-east-1",
        ),
        ("S3_CACHE_BUCKET", "s3://bucket", "S3_CACHE_BUCKET: is no bucket name.*rag-cache-123456789012-us-east-1"),
        ("USE_DOCLING", "perhaps", "USE_DOCLING: .*for example USE_DOCLING=auto"),
        ("USE_DOCKLING", "perhaps", "USE_DOCKLING: .*for example USE_DOCKLING=auto"),
        ("INGEST_QUEUE_URL", "diglot-ingest", "INGEST_QUEUE_URL: is no address of a queue.*for example .*=https://sqs"),
        ("INGEST_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/1/q.fifo", "INGEST_QUEUE_URL: names a FIFO queue"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsRefused, match=told) as caught:
        read_settings(IngestSettings)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("bucket", ["", "rag-cache-123456789012-us-east-1"])
def test_files_stay_on_this_machine_unless_a_backend_is_chosen(monkeypatch: pytest.MonkeyPatch, bucket: str) -> None:
    for name, value in {"STORAGE_BACKEND": "", "S3_CACHE_BUCKET": bucket, "INGEST_QUEUE_URL": ""}.items():
        monkeypatch.setenv(name, value)

    settings = read_settings(IngestSettings)

    assert (settings.storage_backend, settings.s3_cache_bucket, settings.queue_url) == ("local", bucket or None, None)


def test_a_backend_in_a_bucket_is_taken_with_its_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_BACKEND", "s3")
    monkeypatch.setenv("S3_CACHE_BUCKET", "rag-cache-123456789012-us-east-1")

    settings = read_settings(IngestSettings)

    assert (settings.storage_backend, settings.s3_cache_bucket) == ("s3", "rag-cache-123456789012-us-east-1")


@pytest.mark.parametrize(
    ("values", "docling"),
    [
        ({}, "auto"),
        ({"USE_DOCLING": ""}, "auto"),
        ({"USE_DOCLING": "True"}, "true"),
        ({"USE_DOCKLING": "0"}, "false"),
        ({"USE_DOCLING": "auto", "USE_DOCKLING": "auto"}, "auto"),
    ],
)
def test_docling_is_chosen_under_either_name(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], docling: str
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)

    assert IngestSettings().docling == docling


def test_docling_chosen_two_ways_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USE_DOCLING", "true")
    monkeypatch.setenv("USE_DOCKLING", "false")

    with pytest.raises(SettingsRefused, match=r"USE_DOCLING and USE_DOCKLING differ.*USE_DOCLING=auto"):
        read_settings(IngestSettings)


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_variable_handed_on_empty_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    monkeypatch.delenv("DIGLOT_DATA_DIR")
    unset = read_settings(IngestSettings)
    for variable in (
        "DIGLOT_DATA_DIR",
        "STORAGE_BACKEND",
        "S3_CACHE_BUCKET",
        "DOCLING_ARTIFACTS_PATH",
        "USE_DOCLING",
        "INGEST_QUEUE_URL",
        "INGEST_IMAGES_TARGET",
    ):
        monkeypatch.setenv(variable, blank)

    assert read_settings(IngestSettings) == unset


def test_room_for_uploads_that_is_less_than_the_largest_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_MAX_OPEN_UPLOAD_BYTES", "2000000")

    with pytest.raises(SettingsRefused) as caught:
        read_settings(IngestSettings)

    assert "INGEST_MAX_OPEN_UPLOAD_BYTES is less than INGEST_MAX_FILE_BYTES" in str(caught.value)
    assert "for example INGEST_MAX_OPEN_UPLOAD_BYTES=" in str(caught.value)
