"""Documents that are alike: whether passages are found under the title or the file name that tells them apart."""

import pytest

from services.ingest.adapters.parsing.formats import parse_bytes
from tests.quality.document_library import TENANT, open_library
from tests.quality.reporting import report
from tests.quality.sibling_documents import reports

pytestmark = [pytest.mark.quality, pytest.mark.timeout(600)]


@pytest.mark.parametrize(("titled", "least_first"), [(True, 0.65), (False, 0.6)], ids=["titled", "untitled"])
async def test_passages_are_found_in_the_document_a_question_names(
    titled: bool, least_first: float, store_url: str
) -> None:
    found_first, found_in_three, asked = 0, 0, 0
    async with open_library(store_url) as library:
        documents = {
            each.filename: await library.add_parsed(
                each.filename, parse_bytes(each.text(titled=titled).encode(), "md"), filename=each.filename
            )
            for each in reports()
        }
        for each in reports():
            for question, figure in each.questions:
                findings = await library.searching.find(TENANT, question, limit=3)
                holds = [
                    scored.found.document == documents[each.filename] and figure in scored.found.chunk.text
                    for scored in findings.chunks
                ]
                found_first += holds[0]
                found_in_three += any(holds)
                asked += 1

    figures = {"hit@1": found_first / asked, "hit@3": found_in_three / asked}
    report(f"retrieval among {'titled' if titled else 'untitled'} siblings", figures)
    assert figures["hit@1"] >= least_first
    assert figures["hit@3"] >= 0.9
