"""Words that whoever uploads a file gives it, to find it by."""

from collections.abc import Sequence

from services.ingest.errors import TagsInvalid

MAX_TAGS = 50
MAX_TAG_CHARACTERS = 50


def clean_tags(raw: Sequence[str]) -> tuple[str, ...]:
    """The tags without blanks around them, each once, in their order. Raises TagsInvalid."""
    tags = tuple(dict.fromkeys(tag.strip() for tag in raw))
    if len(tags) > MAX_TAGS:
        raise TagsInvalid(f"there are {len(tags):,} tags; at most {MAX_TAGS} are taken")
    for tag in tags:
        if not tag or len(tag) > MAX_TAG_CHARACTERS or not tag.isprintable():
            raise TagsInvalid(
                f"a tag has 1 to {MAX_TAG_CHARACTERS} printable characters, for instance contracts;"
                f" {tag[:60]!r} does not"
            )
    return tags
