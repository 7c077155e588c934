"""The router's decision before the real judges of documents and of a database, all in one process."""

from __future__ import annotations

from collections.abc import Sequence

from services.router.asking import Asking
from services.router.models import NO_FILTERS, Assessment, DocumentAnswer, DocumentFilters, Evidence, SqlAnswer
from services.router.routing import Thresholds
from services.sql.grounding.generator import GroundedGenerator
from services.sql.models import Schema
from tests.quality.document_library import TENANT, Library


class LibraryDocuments:
    """A library as a source that is asked for evidence only."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def assess(self, question: str, parts: Sequence[str], filters: DocumentFilters = NO_FILTERS) -> Evidence:
        whole, rest = await self._library.assessing.assess(TENANT, question, parts)
        assessments = [Assessment(each.score, each.reason) for each in (whole, *rest)]
        return Evidence(assessments[0], tuple(assessments[1:]))

    async def answer(self, question: str, *, top_k: int, filters: DocumentFilters = NO_FILTERS) -> DocumentAnswer:
        raise AssertionError("a decision asks for no answer")


class SchemaDatabase:
    """A schema with its sampled values as a source that is asked for evidence only."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._generator = GroundedGenerator()

    async def assess(self, question: str, parts: Sequence[str]) -> Evidence:
        given = await self._generator.assess([question, *parts], self._schema)
        assessments = [Assessment(min(1.0, max(0.0, each.score)), each.reason) for each in given]
        return Evidence(assessments[0], tuple(assessments[1:]))

    async def answer(self, question: str, *, auto_approve: bool) -> SqlAnswer:
        raise AssertionError("a decision asks for no answer")


def router_between(library: Library, schema: Schema) -> Asking:
    """A router that can decide, with the thresholds it is shipped with."""
    return Asking(documents=LibraryDocuments(library), database=SchemaDatabase(schema), thresholds=Thresholds())
