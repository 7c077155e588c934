"""The behaviour of a counter of tokens, on the fake and on the shipped model's tokenizer."""

import pytest

from services.ingest.adapters.wordpiece_tokens import WordPieceTokens
from services.ingest.ports import TokenCounter
from tests.fakes.ingest import WordCounter


class TokenCounterContract:
    @pytest.fixture
    def counter(self) -> TokenCounter:
        raise AssertionError("a suite must say which counter it is about")

    def test_each_text_is_counted_by_itself(self, counter: TokenCounter) -> None:
        assert counter.count_all(["one", "one two six", ""]) == [1, 3, 0]
        assert counter.count_all([]) == []

    def test_nothing_is_cut(self, counter: TokenCounter) -> None:
        assert counter.count_all(["word " * 5_000]) == [5_000]

    def test_long_texts_are_counted_whole(self, counter: TokenCounter) -> None:
        texts = ["one two " * 40_000, "six\n" * 30_000, "", "one"]

        assert counter.count_all(texts) == [80_000, 30_000, 0, 1]

    def test_tokens_add_up_over_white_space(self, counter: TokenCounter) -> None:
        left, right = "The quick brown fox,", "jumps over (the) lazy dog."

        [both, *parts] = counter.count_all([f"{left} {right}", left, right])

        assert both == sum(parts)


class TestWordCounter(TokenCounterContract):
    @pytest.fixture
    def counter(self) -> TokenCounter:
        return WordCounter()


class TestWordPieceTokens(TokenCounterContract):
    @pytest.fixture
    def counter(self) -> TokenCounter:
        return WordPieceTokens()

    def test_the_marks_around_a_text_are_not_counted(self, counter: TokenCounter) -> None:
        assert counter.count_all(["hello world"]) == [2]
