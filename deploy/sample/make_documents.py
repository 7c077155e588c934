"""Make the PDF and the DOCX sample document from their text in `sources/`: `python -m deploy.sample.make_documents`.

The documents themselves are kept in the repository; this is run again only when a text has changed.
"""

from datetime import datetime
from pathlib import Path

import docx

from deploy.sample.pdf_pages import Block, pdf_of

FOLDER = Path(__file__).parent


def read_blocks(text: str) -> list[Block]:
    """Split a source into titles ("# "), headings ("## "), list items ("- ") and paragraphs, one a line."""
    blocks = []
    for line in filter(None, map(str.strip, text.splitlines())):
        mark, _, rest = line.partition(" ")
        kind = {"#": "title", "##": "heading", "-": "item"}.get(mark)
        blocks.append(Block(kind, rest) if kind else Block("paragraph", line))
    return blocks


def write_docx(blocks: list[Block], path: Path) -> None:
    styles = {"title": "Heading 1", "heading": "Heading 2", "item": "List Bullet", "paragraph": "Normal"}
    document = docx.Document()
    document.core_properties.title = blocks[0].text
    document.core_properties.author = "Juniper Lane Trading Company"
    document.core_properties.created = document.core_properties.modified = datetime(2026, 1, 5)
    for block in blocks:
        document.add_paragraph(block.text, style=styles[block.kind])
    document.save(str(path))


def main() -> None:
    policy = read_blocks((FOLDER / "sources" / "returns_and_refunds_policy.txt").read_text(encoding="utf-8"))
    (FOLDER / "documents" / "returns_and_refunds_policy.pdf").write_bytes(pdf_of(policy))
    handbook = read_blocks((FOLDER / "sources" / "employee_handbook.txt").read_text(encoding="utf-8"))
    write_docx(handbook, FOLDER / "documents" / "employee_handbook.docx")


if __name__ == "__main__":
    main()
