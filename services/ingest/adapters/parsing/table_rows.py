"""Rows of a table as lines that can be understood one by one: "header: value; header: value"."""

from collections.abc import Iterable, Iterator, Sequence

_MAX_HEADER_CHARACTERS = 80


def looks_like_header(row: Sequence[str]) -> bool:
    """Whether a first row names columns: every cell is filled, short, different from the others and no number."""
    cells = [cell.strip() for cell in row]
    return (
        len(cells) > 0
        and all(cells)
        and len({cell.casefold() for cell in cells}) == len(cells)
        and all(len(cell) <= _MAX_HEADER_CHARACTERS and not _is_number(cell) for cell in cells)
    )


def row_lines(rows: Iterable[Sequence[str]], header: Sequence[str] | None) -> Iterator[str]:
    """One line for each row that holds anything; empty cells are left out, and cells past the header stand alone."""
    names = [_flat(name) for name in header or ()]
    for row in rows:
        cells = []
        for place, value in enumerate(map(_flat, row)):
            name = names[place] if place < len(names) else ""
            if value:
                cells.append(f"{name}: {value}" if name else value)
        if cells:
            yield "; ".join(cells)


def table_lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a whole table whose first row may be a header. The header's words stand in every line."""
    if len(rows) > 1 and looks_like_header(rows[0]):
        yield from row_lines(rows[1:], rows[0])
    else:
        yield from row_lines(rows, None)


def _flat(value: str) -> str:
    return " ".join(value.split())


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "").replace("%", "").lstrip("$€£"))
    except ValueError:
        return False
    return True
