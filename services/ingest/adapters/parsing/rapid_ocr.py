"""Text recognition by RapidOCR on the CPU, with the models that its package carries; it downloads nothing."""

from typing import Any

from services.ingest.adapters.parsing.ocr import OcrFailed, RecognisedLine
from services.ingest.adapters.parsing.pdf_document import PageImage

_THREADS = 2
_DETECTION_SIDE_PIXELS = 1280  # lines are found in a smaller picture, and read in the whole one


class RapidOcr:
    """Loaded with its first picture, which takes a second and some hundreds of megabytes."""

    def __init__(self) -> None:
        self._engine: Any = None

    def recognise(self, image: PageImage) -> list[RecognisedLine]:
        """As OcrEngine says."""
        import numpy

        grey = numpy.frombuffer(image.pixels, dtype=numpy.uint8).reshape(image.height, image.width)
        try:
            if self._engine is None:
                self._engine = _engine()
            result = self._engine(numpy.repeat(grey[:, :, None], 3, axis=2))
        except Exception as error:  # it hands on whatever OpenCV and ONNX Runtime raise
            raise OcrFailed("text recognition failed on the page") from error
        if result is None or result.txts is None or result.boxes is None:
            return []
        lines = []
        for corners, text, score in zip(result.boxes.tolist(), result.txts, result.scores, strict=True):
            xs, ys = [corner[0] for corner in corners], [corner[1] for corner in corners]
            lines.append(RecognisedLine(min(xs), min(ys), max(xs), max(ys), text, float(score)))
        return lines


def _engine() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Det.limit_type": "max",
            "Det.limit_side_len": _DETECTION_SIDE_PIXELS,
            "EngineConfig.onnxruntime.intra_op_num_threads": _THREADS,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
