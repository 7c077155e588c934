"""File names as callers send them, made safe to show and to point from. Never used as paths."""

import unicodedata

from services.ingest.errors import FilenameInvalid, FileTypeUnsupported

MAX_FILENAME_CHARACTERS = 255

# Extension without its dot → media type. The one list of what is served.
CONTENT_TYPES = {
    "csv": "text/csv",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "eml": "message/rfc822",
    "htm": "text/html",
    "html": "text/html",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# What people send besides, and what they can save it as.
_SAVED_AS = {
    **dict.fromkeys(("doc", "docm", "dot", "dotx", "odt", "pages", "rtf", "wps"), "docx"),
    **dict.fromkeys(("ppt", "pptm", "pps", "ppsx", "odp", "key"), "pptx"),
    **dict.fromkeys(("xls", "xlsm", "xlsb", "ods", "numbers"), "xlsx"),
    **dict.fromkeys(("msg", "mbox"), "eml"),
    **dict.fromkeys(("mht", "mhtml", "xhtml", "epub"), "html"),
    **dict.fromkeys(("markdown", "rst"), "md"),
    **dict.fromkeys(("ndjson", "jsonlines"), "jsonl"),
    **dict.fromkeys(("log", "text"), "txt"),
}


def clean_filename(raw: str) -> str:
    """The name in NFC, trimmed.

    Raises: FilenameInvalid: it is empty, a path, longer than MAX_FILENAME_CHARACTERS, or holds a control character
        (or one that turns the direction of writing, by which `gnp.exe` can pass for `exe.png`).
    """
    name = unicodedata.normalize("NFC", raw).strip()
    if "/" in name or "\\" in name:
        raise FilenameInvalid("the file name is a path; send the name alone, without folders")
    if name in ("", ".", ".."):
        raise FilenameInvalid("the file name is empty")
    if len(name) > MAX_FILENAME_CHARACTERS:
        raise FilenameInvalid(f"the file name has {len(name)} characters; at most {MAX_FILENAME_CHARACTERS} are taken")
    if any(unicodedata.category(character) in ("Cc", "Cs") or character in _DIRECTION_MARKS for character in name):
        raise FilenameInvalid("the file name holds control characters")
    return name


_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


def served_extension(filename: str) -> str:
    """The extension of a clean name, in lower case and without its dot.

    Raises: FileTypeUnsupported: it is not among CONTENT_TYPES.
    """
    stem, dot, extension = filename.rpartition(".")
    extension = extension.lower()
    if not dot or not stem or extension not in CONTENT_TYPES:
        served = ", ".join(f".{known}" for known in sorted(CONTENT_TYPES))
        found = f".{extension} files are" if dot and stem and extension else "files without an extension are"
        way_out = f"save it as .{_SAVED_AS[extension]}; " if dot and stem and extension in _SAVED_AS else ""
        raise FileTypeUnsupported(f"{found} not taken; {way_out}served are {served}")
    return extension
