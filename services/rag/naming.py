"""How a file is called where a person reads it."""

_LONGEST_NAME_SHOWN = 80


def shown_name(filename: str) -> str:
    """A file name on one line, cut where it is too long to be read at a glance."""
    name = " ".join(filename.split())
    return name if len(name) <= _LONGEST_NAME_SHOWN else f"{name[: _LONGEST_NAME_SHOWN - 1]}…"
