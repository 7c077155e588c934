"""What every DocumentSource must do."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

import pytest

from services.router.errors import SourceFailed, SourceRefused, SourceTimeout, SourceUnavailable
from services.router.ports import DocumentSource

HELD = "Core hours are 10 AM to 3 PM"
ASKED = "core hours"
UNKNOWN = "quarterly zebra census"


class DocumentBench(Protocol):
    """A source that holds the sentence HELD in handbook.md, on page 2, and ways to break it."""

    @property
    def source(self) -> DocumentSource: ...

    async def stop(self) -> None: ...

    def refuse(self, reason: str) -> None: ...

    def stall(self) -> None: ...


class DocumentSourceContract:
    @pytest.fixture
    @abstractmethod
    def bench(self) -> object: ...

    async def test_assesses_the_question_and_each_part_in_order(self, bench: DocumentBench) -> None:
        evidence = await bench.source.assess(ASKED, [UNKNOWN, ASKED])

        assert [part.score > 0.5 for part in evidence.parts] == [False, True]
        assert 0 < evidence.question.score <= 1
        assert "handbook.md" in evidence.question.reason

    async def test_a_question_without_parts_has_no_evidence_of_parts(self, bench: DocumentBench) -> None:
        assert (await bench.source.assess(ASKED, [])).parts == ()

    async def test_answers_with_sources_and_citations(self, bench: DocumentBench) -> None:
        answer = await bench.source.answer(ASKED, top_k=3)

        assert answer.answered
        assert answer.answer == HELD
        assert [(source.filename, source.page) for source in answer.sources] == [("handbook.md", 2)]
        assert [(citation.quote, citation.page, citation.sentence_index) for citation in answer.citations] == [
            (HELD, 2, 0)
        ]

    async def test_says_when_it_holds_no_answer(self, bench: DocumentBench) -> None:
        answer = await bench.source.answer(UNKNOWN, top_k=3)

        assert not answer.answered
        assert answer.citations == ()

    async def test_a_stopped_source_is_unavailable(self, bench: DocumentBench) -> None:
        await bench.stop()

        with pytest.raises(SourceUnavailable):
            await bench.source.assess(ASKED, [])
        with pytest.raises(SourceUnavailable):
            await bench.source.answer(ASKED, top_k=3)

    async def test_a_source_that_does_not_say_how_it_fits_in_time_times_out(self, bench: DocumentBench) -> None:
        bench.stall()

        with pytest.raises(SourceTimeout):
            await bench.source.assess(ASKED, [])

    async def test_its_own_error_keeps_its_reason(self, bench: DocumentBench) -> None:
        bench.refuse("CHUNK_STORE_UNAVAILABLE")

        with pytest.raises(SourceRefused) as raised:
            await bench.source.answer(ASKED, top_k=3)

        assert isinstance(raised.value, SourceFailed)
        assert (raised.value.source, raised.value.reason) == ("rag", "CHUNK_STORE_UNAVAILABLE")
        assert raised.value.remote is not None
