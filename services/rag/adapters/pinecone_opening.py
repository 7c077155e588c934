"""Opening the Pinecone index that the settings name: found, made where that is allowed, refused where it cannot fit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from pinecone import AsyncPinecone, RetryConfig
from pinecone.errors import ConflictError, ForbiddenError, NotFoundError, PineconeError, UnauthorizedError
from pinecone.models.indexes.deployment import PodDeployment
from pinecone.models.indexes.schema import DenseVectorField

from services.rag.adapters.pinecone_index import PineconeIndex
from services.rag.errors import IndexRefused
from services.rag.models import EmbeddingModel
from services.rag.regions import read_region

if TYPE_CHECKING:
    from pinecone import IndexModel

_HYBRID_METRIC: Final = "dotproduct"
_METRICS: Final = ("cosine", _HYBRID_METRIC)
# Of each wait for Pinecone an attempt gets this share, so that there is time for another.
_ATTEMPT_SHARE = 0.6
_CREATION_WAIT_SECONDS = 60
# The field by which vectors are written and asked for, whatever else a schema may declare.
_VECTOR_FIELD = "_values"


@asynccontextmanager
async def open_pinecone_index(
    model: EmbeddingModel, *, api_key: str, name: str, host: str, environment: str, metric: str, wait_seconds: float
) -> AsyncIterator[PineconeIndex]:
    """The index while the context is open.

    Args:
        model: what embeds; its dimension has to be the index's.
        host: the control plane's address.
        environment: where a missing index is made; empty: it is not.
        metric: of an index that is made. One that is there already keeps its own.
        wait_seconds: how long one request may take, its retries included.
    Raises: IndexRefused: Pinecone cannot be reached, refuses the key, or has no index that fits.
    """
    client = AsyncPinecone(
        api_key=api_key,
        host=host,
        timeout=wait_seconds * _ATTEMPT_SHARE,
        retry_config=RetryConfig(max_retries=2, max_wait=1),
    )
    async with client:
        try:
            found = await _find_or_make(client, model, name=name, environment=environment, metric=metric)
        except (UnauthorizedError, ForbiddenError) as error:
            raise IndexRefused(
                f"Pinecone refuses PINECONE_API_KEY for the index {name!r}; use a key of the project that holds it"
            ) from error
        except PineconeError as error:
            raise IndexRefused(
                f"Pinecone does not answer at {host} ({type(error).__name__}); check the network and "
                "PINECONE_CONTROLLER_HOST"
            ) from error
        fitting = _require_fit(found, model)
        if found.host is None:
            raise IndexRefused(f"the Pinecone index {name!r} is still being made; start again in a minute")
        async with await client.index(host=found.host) as index:
            yield PineconeIndex(index, model, hybrid=fitting == _HYBRID_METRIC, wait_seconds=wait_seconds)


async def _find_or_make(
    client: AsyncPinecone, model: EmbeddingModel, *, name: str, environment: str, metric: str
) -> IndexModel:
    try:
        return await client.indexes.describe(name)
    except NotFoundError:
        if not environment:
            raise IndexRefused(
                f"PINECONE_INDEX_NAME: there is no Pinecone index {name!r}; make one with dimension "
                f"{model.dimension} and metric cosine, or have it made by setting a region "
                "(for example PINECONE_ENVIRONMENT=us-east-1)"
            ) from None
    cloud, region = read_region(environment)
    field = {"type": "dense_vector", "dimension": model.dimension, "metric": metric}
    try:
        return await client.indexes.create(
            name=name,
            schema={"fields": {_VECTOR_FIELD: field}},
            deployment={"deployment_type": "managed", "cloud": cloud, "region": region},
            timeout=_CREATION_WAIT_SECONDS,
        )
    except ConflictError:  # another process was a moment faster
        return await client.indexes.describe(name)


def _require_fit(found: IndexModel, model: EmbeddingModel) -> str:
    """The metric of an index that takes the model's embeddings. Raises IndexRefused."""
    if isinstance(found.deployment, PodDeployment):
        raise IndexRefused(
            f"the Pinecone index {found.name!r} is made of pods, which cannot list records; set PINECONE_INDEX_NAME to "
            "a serverless index"
        )
    field = found.schema.fields.get(_VECTOR_FIELD)
    if not isinstance(field, DenseVectorField):
        raise IndexRefused(f"the Pinecone index {found.name!r} keeps no dense vectors; make one of its own for Diglot")
    if field.dimension != model.dimension:
        raise IndexRefused(
            f"the Pinecone index {found.name!r} has dimension {field.dimension}, but {model.name} embeds in "
            f"{model.dimension}; set PINECONE_INDEX_NAME to an index of dimension {model.dimension}, or RAG_EMBEDDER "
            "to the model the index was made for"
        )
    if field.metric not in _METRICS:
        raise IndexRefused(
            f"the Pinecone index {found.name!r} has the metric {field.metric}; similarity needs "
            f"{' or '.join(_METRICS)}: set PINECONE_INDEX_NAME to an index that has one of them"
        )
    return field.metric
