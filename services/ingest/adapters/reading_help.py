"""Who helps our own parsers, docling or text recognition, from the settings and from what is installed."""

import importlib.util
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from services.ingest.adapters.parsing.choosing import NO_HELP, ReadingHelp
from services.transport.errors import SettingsRefused

logger = logging.getLogger(__name__)

Wanted = Literal["true", "false", "auto"]
OcrWanted = Literal["auto", "rapidocr", "docling", "none"]

_DOWNLOAD_SECONDS = 600
_DOWNLOAD = "from docling.cli.models import app; app(['download', 'layout', 'tableformer', '-o', {folder!r}])"


def reading_help(
    docling: Wanted,
    models: Path | None,
    ocr: OcrWanted = "auto",
    *,
    download: bool = False,
    run: Callable[[Sequence[str]], int] | None = None,
) -> ReadingHelp:
    """Who helps, and how.

    An empty folder of models counts as none, unless `download` lets docling fill it now, by `run`; when that fails it
    stays empty. Whatever reads files later downloads nothing.

    Raises: SettingsRefused: docling or an engine is wanted and not installed, or needs models that are not there.
    """
    found = _models(docling, models, run or _run if download else None)
    use = _docling(docling, found)
    engine = _engine(ocr, use)
    return ReadingHelp(use.docling, use.models, engine)


def _models(docling: Wanted, models: Path | None, run: Callable[[Sequence[str]], int] | None) -> Path | None:
    if models is None or docling == "false":
        return None
    if run is not None and not _is_filled(models) and _is_installed("docling"):
        status = run([sys.executable, "-c", _DOWNLOAD.format(folder=str(models))])
        if status != 0:
            logger.warning("docling.models_not_downloaded", extra={"exit_status": status})
    return models if _is_filled(models) else None


def _docling(wanted: Wanted, models: Path | None) -> ReadingHelp:
    if wanted == "false":
        return NO_HELP
    installed = _is_installed("docling")
    if wanted == "true":
        if not installed:
            raise SettingsRefused(
                "USE_DOCLING=true needs packages that are not installed: pip install -r requirements/docling.txt, "
                "or set USE_DOCLING=auto"
            )
        return ReadingHelp("always", models)
    return ReadingHelp("need", models) if installed and models else NO_HELP


def _engine(wanted: OcrWanted, use: ReadingHelp) -> Literal["rapidocr", "docling"] | None:
    installed = _is_installed("rapidocr") and _is_installed("onnxruntime")
    match wanted:
        case "rapidocr" if not installed:
            raise SettingsRefused(
                "INGEST_OCR_ENGINE=rapidocr needs packages that are not installed: pip install rapidocr onnxruntime, "
                "or set INGEST_OCR_ENGINE=auto"
            )
        case "docling" if not use.reads_layout or not installed:
            raise SettingsRefused(
                "INGEST_OCR_ENGINE=docling needs docling with its models and the package rapidocr: set"
                " DOCLING_ARTIFACTS_PATH to their folder, for example DOCLING_ARTIFACTS_PATH=/opt/docling,"
                " or set INGEST_OCR_ENGINE=auto"
            )
        case "docling":
            return "docling"
        case "none":
            return None
    return "rapidocr" if installed else None


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _is_filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _run(command: Sequence[str]) -> int:
    try:
        return subprocess.run(command, check=False, capture_output=True, timeout=_DOWNLOAD_SECONDS).returncode
    except (OSError, subprocess.TimeoutExpired):
        return -1
