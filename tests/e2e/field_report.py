"""A PDF of a known number of pages whose words nobody has uploaded before."""

from deploy.sample.pdf_pages import Block, pdf_of


def field_report(mark: str, *, stations: int = 150) -> bytes:
    """About seven stations a page; with the default, a little more than twenty pages. `mark` makes the bytes new."""
    blocks = [Block("title", f"Field report {mark}")]
    for station in range(1, stations + 1):
        blocks.append(Block("heading", f"Station {station}"))
        sentence = f"At station {station} of report {mark} the gauge was read every {station % 7 + 2} hours. "
        blocks.append(Block("paragraph", sentence + "The instrument was cleaned, levelled and photographed. " * 5))
    return pdf_of(blocks)
