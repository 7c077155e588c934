"""Which processes the local system consists of, and what each of them may know."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.local.run_folder import RunFolder
from deploy.local.settings import LocalSettings

_EVERYBODY_NEEDS = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ"),
    *("PYTHONPATH", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
_SHARED_SETTINGS = (
    *("DIGLOT_CALL_TIMEOUT_SECONDS", "DIGLOT_METRICS"),
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"),
    *("OPIK_API_KEY", "OPIK_WORKSPACE", "OPIK_PROJECT_NAME", "OPIK_URL_OVERRIDE"),
)
_MODEL = ("OPENAI_API_KEY", "OPENAI_BASE_URL")
_VECTORS = ("PINECONE_API_KEY", "PINECONE_ENVIRONMENT")
_CACHES = ("REDIS_URL", "UPSTASH_REDIS_URL", "UPSTASH_REDIS_TOKEN")
# Settings that go by names of their own, and who reads them. Keys reach nobody else.
_WITHOUT_PREFIX = {
    "gateway": ("ALLOWED_ORIGINS", "ALLOW_ANONYMOUS", "JWT_SECRET_KEY", "JWT_AUDIENCE", "JWT_ISSUER"),
    "rag": (
        *_MODEL,
        *_VECTORS,
        "PINECONE_INDEX_NAME",
        "PINECONE_METRIC",
        "PINECONE_CONTROLLER_HOST",
        *_CACHES,
        "CACHE_TTL_EMBEDDINGS",
        "CACHE_MEMORY_BYTES",
    ),
    "sql": (*_MODEL, *_VECTORS, "VANNA_PINECONE_INDEX", "PINECONE_CONTROLLER_HOST"),
    "ingest": (
        "STORAGE_BACKEND",
        "S3_CACHE_BUCKET",
        "USE_DOCLING",
        "USE_DOCKLING",
        "DOCLING_ARTIFACTS_PATH",
        "DOCLING_ALLOW_DOWNLOAD",
    ),
}
_SECRET_REFERENCES = ("secretsmanager:", "ssm:")


@dataclass(frozen=True)
class ServiceProcess:
    """One service: its name, the module that serves it, and its whole environment."""

    name: str
    module: str
    environment: Mapping[str, str]

    @property
    def arguments(self) -> list[str]:
        return [sys.executable, "-m", self.module]


@dataclass(frozen=True)
class Addresses:
    """Secrets and addresses that differ from run to run. The target is the database that questions go to."""

    internal_key: str
    target_url: str
    store_urls: Mapping[str, str]


def plan(settings: LocalSettings, run: RunFolder, addresses: Addresses) -> list[ServiceProcess]:
    """The processes in the order of their start. Nobody learns an address or a password that is not its business:
    the questioned database is known to sql alone, the store to the three services that own a part of it.
    """
    target = run.address
    sample = settings.sample and settings.database_url is None
    store = addresses.store_urls
    # Nobody's rows but the sample's are shown without a person's consent, unless whoever starts this says so.
    defaults = {"sql": {"SQL_AUTO_APPROVE": "allowed" if sample else "never"}}
    own: dict[str, dict[str, str]] = {
        "rag": {"RAG_LISTEN": target("rag"), "DIGLOT_STORE_URL": store["rag"]},
        "sql": {
            "SQL_LISTEN": target("sql"),
            "SQL_RAG_TARGET": target("rag"),
            "DIGLOT_STORE_URL": store["sql"],
            "DATABASE_URL": addresses.target_url,
        },
        "ingest": {
            "INGEST_LISTEN": target("ingest"),
            "INGEST_RAG_TARGET": target("rag"),
            "DIGLOT_STORE_URL": store["ingest"],
            "DIGLOT_DATA_DIR": str(settings.data_dir),
        },
        "router": {
            "ROUTER_LISTEN": target("router"),
            "ROUTER_RAG_TARGET": target("rag"),
            "ROUTER_SQL_TARGET": target("sql"),
        },
        "gateway": {
            "GATEWAY_LISTEN": settings.listen,
            **{f"GATEWAY_{callee.upper()}_TARGET": target(callee) for callee in ("router", "rag", "sql", "ingest")},
        },
    }
    return [
        ServiceProcess(
            name,
            "gateway.server" if name == "gateway" else f"services.{name}.server",
            {
                **defaults.get(name, {}),
                **_inherited(name),
                **own[name],
                "ENVIRONMENT": os.environ.get("ENVIRONMENT") or "local",
                "DIGLOT_INTERNAL_KEY": addresses.internal_key,
            },
        )
        for name in own
    ]


def _inherited(name: str) -> dict[str, str]:
    """What the person who started us may set: the system's basics, and the service's own settings by prefix."""
    known = {*_EVERYBODY_NEEDS, *_SHARED_SETTINGS, *_WITHOUT_PREFIX.get(name, ())}
    prefix = f"{name.upper()}_"
    told = {key: value for key, value in os.environ.items() if key in known or key.startswith(prefix)}
    # Only who speaks to AWS learns the credentials to do so.
    uses_aws = told.get("STORAGE_BACKEND") == "s3" or bool(told.get("INGEST_QUEUE_URL"))
    if uses_aws or any(value.startswith(_SECRET_REFERENCES) for value in told.values()):
        told |= {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
    return told
