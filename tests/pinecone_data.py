"""What one index of the local Pinecone server keeps, and how it is searched: exactly, with metadata filters.

Namespaces come into being when something is upserted into them, as in a serverless index.
"""

from __future__ import annotations

import json
import math
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import mul
from typing import Any

Json = dict[str, Any]

_MAX_METADATA_BYTES = 40_960
_MAX_ID_CHARACTERS = 512
_MAX_VECTORS_PER_UPSERT = 1_000
_MAX_IDS = 1_000
_MAX_TOP_K = 10_000
_MAX_SPARSE_VALUES = 2_048
_LIST_PAGE = 100


class Refused(Exception):
    """What the server answers with a status that is no success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class StoredVector:
    """One record as it was upserted."""

    id: str
    values: Sequence[float]
    """As single-precision numbers hold them."""
    sparse: dict[int, float]
    metadata: Json

    def as_json(self, *, values: bool = True, metadata: bool = True) -> Json:
        told: Json = {"id": self.id}
        if values:
            told["values"] = list(self.values)
            if self.sparse:
                told["sparseValues"] = {"indices": list(self.sparse), "values": list(self.sparse.values())}
        if metadata and self.metadata:
            told["metadata"] = self.metadata
        return told


Namespace = dict[str, StoredVector]


@dataclass
class StoredIndex:
    """One index: its configuration and its records by namespace and id."""

    name: str
    dimension: int
    metric: str
    field_name: str = "_values"
    deployment: Json = field(
        default_factory=lambda: {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
    )
    tags: dict[str, str] = field(default_factory=dict)
    ready: bool = True
    namespaces: dict[str, Namespace] = field(default_factory=dict)
    write_delay_seconds: float = 0
    """How long a write stays unseen by every read; `inf` until `catch_up`."""
    lsn: int = 0
    _waiting: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def catch_up(self, *, until: float = float("inf")) -> None:
        """Let reads see what was written."""
        while self._waiting and self._waiting[0][0] <= until:
            self._waiting.pop(0)[1]()

    def answer(self, method: str, path: str, query: Mapping[str, list[str]], body: Json) -> Json:
        """One request of the data plane. Raises Refused."""
        self.catch_up(until=time.monotonic())
        namespace = body.get("namespace") or (query.get("namespace") or [""])[0] or "__default__"
        match method, path:
            case "POST", "/vectors/upsert":
                return self._upsert(namespace, body)
            case "POST", "/query":
                return self._query(namespace, body)
            case "POST", "/vectors/delete":
                return self._delete(namespace, body)
            case "POST", "/vectors/update":
                return self._update(namespace, body)
            case "GET", "/vectors/fetch":
                return self._fetch(namespace, query.get("ids", []))
            case "POST", "/vectors/fetch_by_metadata":
                held = self.namespaces.get(namespace, {})
                found = [each for each in held.values() if matches(each.metadata, body["filter"])]
                found = found[: body.get("limit", _LIST_PAGE)]
                return {"vectors": {each.id: each.as_json() for each in found}, "namespace": _shown(namespace)}
            case "GET", "/vectors/list":
                return self._list(namespace, query)
            case "POST", "/describe_index_stats":
                return self._stats(body)
            case "GET", "/namespaces":
                told = [_describe(name, held) for name, held in sorted(self.namespaces.items())]
                return {"namespaces": told, "total_count": len(told)}
        if path.startswith("/namespaces/") and method in ("GET", "DELETE"):
            name = path.removeprefix("/namespaces/")
            if name not in self.namespaces:
                raise Refused(404, f"Namespace not found: {name}")
            if method == "GET":
                return _describe(name, self.namespaces[name])
            self._write(lambda: self.namespaces.pop(name, None))
            return {}
        raise Refused(404, f"{method} {path} is not spoken here")

    def _write(self, change: Callable[[], object]) -> None:
        self.lsn += 1
        if self.write_delay_seconds or self._waiting:
            self._waiting.append((time.monotonic() + self.write_delay_seconds, lambda: (change(), None)[1]))
        else:
            change()

    def _upsert(self, namespace: str, body: Json) -> Json:
        given = body.get("vectors", [])
        if not given or len(given) > _MAX_VECTORS_PER_UPSERT:
            raise Refused(400, f"You have {len(given)} vectors; an upsert takes 1 to {_MAX_VECTORS_PER_UPSERT}")
        vectors = [self._read(each) for each in given]
        self._write(lambda: self.namespaces.setdefault(namespace, {}).update({each.id: each for each in vectors}))
        return {"upsertedCount": len(vectors)}

    def _read(self, given: Json) -> StoredVector:
        name = given["id"]
        if not name or not name.isascii() or len(name) > _MAX_ID_CHARACTERS:
            raise Refused(400, f"Vector ID {name!r} must be ASCII of 1 to {_MAX_ID_CHARACTERS} characters")
        metadata = given.get("metadata") or {}
        check_metadata(metadata)
        return StoredVector(name, self._dense(given["values"]), _sparse(given.get("sparseValues")), metadata)

    def _dense(self, values: list[float]) -> Sequence[float]:
        if len(values) != self.dimension:
            raise Refused(
                400, f"Vector dimension {len(values)} does not match the dimension of the index {self.dimension}"
            )
        vector = array("f", values)
        if not any(vector):
            raise Refused(400, "Dense vectors must contain at least one non-zero value")
        return vector

    def _query(self, namespace: str, body: Json) -> Json:
        held = self.namespaces.get(namespace, {})
        top_k = body["topK"]
        if not 1 <= top_k <= _MAX_TOP_K:
            raise Refused(400, f"topK must be between 1 and {_MAX_TOP_K}, got {top_k}")
        sparse = _sparse(body.get("sparseVector"))
        if sparse and self.metric != "dotproduct":
            raise Refused(400, "Index configuration does not support sparse values")
        if "id" in body:
            if body["id"] not in held:
                return {"matches": [], "namespace": _shown(namespace), "usage": {"readUnits": 1}}
            asked, sparse = held[body["id"]].values, held[body["id"]].sparse
        else:
            asked = self._dense(body["vector"])
        kept = [each for each in held.values() if matches(each.metadata, body.get("filter") or {})]
        scored = sorted(((self._score(asked, sparse, each), each) for each in kept), key=lambda pair: -pair[0])
        shown = {"values": bool(body.get("includeValues")), "metadata": bool(body.get("includeMetadata"))}
        found = [{**each.as_json(**shown), "score": score} for score, each in scored[:top_k]]
        return {"matches": found, "namespace": _shown(namespace), "usage": {"readUnits": 1}}

    def _score(self, asked: Sequence[float], sparse: Mapping[int, float], held: StoredVector) -> float:
        if self.metric == "euclidean":
            return math.dist(asked, held.values) ** 2
        product = math.fsum(map(mul, asked, held.values))
        if self.metric == "cosine":
            return product / (math.hypot(*asked) * math.hypot(*held.values))
        return product + sum(weight * held.sparse.get(place, 0.0) for place, weight in sparse.items())

    def _delete(self, namespace: str, body: Json) -> Json:
        if namespace not in self.namespaces and not self._waiting:
            raise Refused(404, "Namespace not found")
        if body.get("deleteAll"):
            self._write(lambda: self.namespaces.pop(namespace, None))
        elif "filter" in body:
            self._write(lambda: self._drop(namespace, lambda each: matches(each.metadata, body["filter"])))
        else:
            ids = body.get("ids", [])
            if len(ids) > _MAX_IDS:
                raise Refused(400, f"A delete takes at most {_MAX_IDS} ids, got {len(ids)}")
            wanted = set(ids)
            self._write(lambda: self._drop(namespace, lambda each: each.id in wanted))
        return {}

    def _drop(self, namespace: str, unwanted: Callable[[StoredVector], bool]) -> None:
        held = self.namespaces.get(namespace, {})
        self.namespaces[namespace] = {name: each for name, each in held.items() if not unwanted(each)}

    def _update(self, namespace: str, body: Json) -> Json:
        if namespace not in self.namespaces and not self._waiting:
            raise Refused(404, "Namespace not found")
        news = body.get("setMetadata") or {}
        check_metadata(news)
        values = self._dense(body["values"]) if body.get("values") else None
        sparse = _sparse(body.get("sparseValues")) if "sparseValues" in body else None

        def targets() -> list[StoredVector]:
            held = self.namespaces.get(namespace, {})
            if "filter" in body:
                return [each for each in held.values() if matches(each.metadata, body["filter"])]
            return [held[body["id"]]] if body["id"] in held else []

        def change() -> None:
            for each in targets():
                each.metadata = {**each.metadata, **news}
                each.values = each.values if values is None else values
                each.sparse = each.sparse if sparse is None else sparse

        count = len(targets())
        if not body.get("dryRun"):
            self._write(change)
        return {"matchedRecords": count} if "filter" in body else {}

    def _fetch(self, namespace: str, ids: list[str]) -> Json:
        if len(ids) > _MAX_IDS:
            raise Refused(400, f"A fetch takes at most {_MAX_IDS} ids, got {len(ids)}")
        held = self.namespaces.get(namespace, {})
        found = {name: held[name].as_json() for name in ids if name in held}
        return {"vectors": found, "namespace": _shown(namespace), "usage": {"readUnits": max(1, len(ids))}}

    def _list(self, namespace: str, query: Mapping[str, list[str]]) -> Json:
        limit = int((query.get("limit") or [str(_LIST_PAGE)])[0])
        if not 1 <= limit <= _LIST_PAGE:
            raise Refused(400, f"limit must be between 1 and {_LIST_PAGE}, got {limit}")
        prefix, after = (query.get("prefix") or [""])[0], (query.get("paginationToken") or [""])[0]
        names = sorted(name for name in self.namespaces.get(namespace, {}) if name.startswith(prefix) and name > after)
        told: Json = {"vectors": [{"id": name} for name in names[:limit]], "namespace": _shown(namespace)}
        if len(names) > limit:
            told["pagination"] = {"next": names[limit - 1]}
        return told

    def _stats(self, body: Json) -> Json:
        if body.get("filter"):
            raise Refused(400, "Serverless indexes do not support describing index stats with metadata filtering")
        counts = {_shown(name): len(held) for name, held in self.namespaces.items()}
        return {
            "namespaces": {name: {"vectorCount": count} for name, count in counts.items()},
            "dimension": self.dimension,
            "indexFullness": 0.0,
            "totalVectorCount": sum(counts.values()),
            "metric": self.metric,
            "vectorType": "dense",
        }


def check_metadata(metadata: Json) -> None:
    """Raises Refused for what Pinecone stores in no metadata."""
    for key, value in metadata.items():
        strings = isinstance(value, list) and all(isinstance(each, str) for each in value)
        if not strings and not isinstance(value, str | int | float | bool):
            raise Refused(
                400,
                f"Metadata value must be a string, number, boolean or list of strings, got {value!r} for field {key!r}",
            )
    size = len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode())
    if size > _MAX_METADATA_BYTES:
        raise Refused(400, f"Metadata size is {size} bytes, which exceeds the limit of {_MAX_METADATA_BYTES} bytes")


def matches(metadata: Json, condition: Json) -> bool:
    """Whether metadata fits a filter. Raises Refused for an operator that does not exist."""
    return all(_fits(metadata, key, wanted) for key, wanted in condition.items())


def _fits(metadata: Json, key: str, wanted: Any) -> bool:
    if key == "$and":
        return all(matches(metadata, each) for each in wanted)
    if key == "$or":
        return any(matches(metadata, each) for each in wanted)
    tests = wanted if isinstance(wanted, dict) else {"$eq": wanted}
    return all(_holds(operator, metadata.get(key), operand) for operator, operand in tests.items())


def _holds(operator: str, held: Any, operand: Any) -> bool:
    among = held if isinstance(held, list) else [held]
    match operator:
        case "$eq":
            return operand in among
        case "$ne":
            return operand not in among
        case "$in":
            return any(each in operand for each in among)
        case "$nin":
            return not any(each in operand for each in among)
        case "$exists":
            return (held is not None) == bool(operand)
        case "$gt" | "$gte" | "$lt" | "$lte":
            if isinstance(held, bool) or not isinstance(held, int | float):
                return False
            kept = {"$gt": held > operand, "$gte": held >= operand, "$lt": held < operand, "$lte": held <= operand}
            return bool(kept[operator])
    raise Refused(400, f"{operator} is not a valid operator")


def _sparse(given: Json | None) -> dict[int, float]:
    if not given:
        return {}
    indices, values = given["indices"], given["values"]
    if len(indices) != len(values) or len(indices) > _MAX_SPARSE_VALUES or len(set(indices)) != len(indices):
        raise Refused(400, f"Sparse vectors have as many values as distinct indices, at most {_MAX_SPARSE_VALUES}")
    if any(not 0 <= index < 2**32 for index in indices):
        raise Refused(400, "Sparse indices are unsigned 32-bit integers")
    return {index: value for index, value in zip(indices, values, strict=True) if value}


def _shown(namespace: str) -> str:
    return "" if namespace == "__default__" else namespace


def _describe(name: str, held: Namespace) -> Json:
    return {"name": name, "record_count": str(len(held))}  # a number in quotes, as the real one tells it
