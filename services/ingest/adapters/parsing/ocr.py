"""Reading text from the picture of a page: what an engine for it has to do."""

from typing import NamedTuple, Protocol

from services.ingest.adapters.parsing.pdf_document import PageImage
from services.ingest.adapters.parsing.pdf_layout import Passage, read_page
from services.ingest.adapters.parsing.pdf_runs import Run

LEAST_CONFIDENCE = 0.5


class OcrFailed(Exception):
    """The engine could not look at a picture at all. That it found no text is no failure."""


class RecognisedLine(NamedTuple):
    """Text on one line of a picture, in pixels from its upper left corner. `confidence` lies between 0 and 1."""

    left: float
    top: float
    right: float
    bottom: float
    text: str
    confidence: float


class OcrEngine(Protocol):
    def recognise(self, image: PageImage) -> list[RecognisedLine]:
        """The lines in the picture, in whatever order. Raises OcrFailed."""
        ...


def read_picture(engine: OcrEngine, image: PageImage) -> tuple[Passage, ...]:
    """The passages of a page from its picture, in the order a person reads them. Raises OcrFailed."""
    scale = image.pixels_a_point or 1.0
    runs = [
        Run(line.left / scale, line.top / scale, line.right / scale, line.bottom / scale, line.text.strip())
        for line in engine.recognise(image)
        if line.confidence >= LEAST_CONFIDENCE and line.text.strip()
    ]
    return tuple(read_page(runs))
