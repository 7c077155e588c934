"""The report of `make eval`: every test adds what it measured, and all of it is told at the end.

Figures lie in build/eval, an object for each section; `python -m tests.quality.reporting` makes one file of them for
people (report.md) and one for programs (report.json), and prints the first.
"""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "build" / "eval"


def report(section: str, figures: Mapping[str, object], text: str = "", *, folder: Path = FOLDER) -> None:
    """Add a section, in the place of an earlier one of that name.

    Args: text: Markdown for people; without it the figures are listed.
    """
    sections = folder / "sections"
    sections.mkdir(parents=True, exist_ok=True)
    told = text or "".join([f"### {section}\n\n", *(f"- {name}: {_plain(value)}\n" for name, value in figures.items())])
    document = {"section": section, "figures": dict(figures), "text": told}
    name = re.sub(r"[^a-z0-9]+", "_", section.lower()).strip("_")
    (sections / f"{name}.json").write_text(json.dumps(document, indent=1, default=str) + "\n", encoding="utf-8")
    print(told)


def compose(folder: Path = FOLDER) -> str:
    """Write both files from the sections there are; the text."""
    paths = sorted((folder / "sections").glob("*.json"))
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    text = "\n".join(["# Quality\n", *(document["text"] for document in documents)])
    figures = {document["section"]: document["figures"] for document in documents}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(text, encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return text


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
    return str(value)


def main() -> int:
    """Compose and print. Returns: 0."""
    print(compose())
    print(f"Written to {FOLDER / 'report.md'} and {FOLDER / 'report.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
