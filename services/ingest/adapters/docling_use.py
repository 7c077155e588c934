"""Whether docling reads files in this process, from the settings and from what is installed."""

import importlib.util
from pathlib import Path
from typing import Literal

from services.ingest.adapters.parsing.choosing import DoclingUse
from services.transport.errors import SettingsRefused


def docling_use(wanted: Literal["true", "false", "auto"], models: Path | None) -> DoclingUse | None:
    """How docling is used; None: not at all. An empty folder of models counts as none.

    Raises: SettingsRefused: docling is wanted and not installed.
    """
    if wanted == "false":
        return None
    installed = importlib.util.find_spec("docling") is not None
    found = models if models is not None and models.is_dir() and any(models.iterdir()) else None
    if wanted == "true":
        if not installed:
            raise SettingsRefused(
                "USE_DOCLING=true needs packages that are not installed: pip install -r requirements/docling.txt, "
                "or set USE_DOCLING=auto"
            )
        return DoclingUse("always", found)
    return DoclingUse("need", found) if installed and found else None
