"""What every parser does, in whatever process."""

from pathlib import Path

import pytest

from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.ports import Parser


class ParserContract:
    """`broken` is a file of extension `broken_extension` that cannot be read."""

    broken = b"broken"
    broken_extension = "txt"

    @pytest.fixture
    def parser(self) -> Parser:
        raise AssertionError("a suite must say which parser it is about")

    async def test_blocks_are_stretches_of_the_text_in_order(self, parser: Parser, tmp_path: Path) -> None:
        path = tmp_path / "original.md"
        path.write_text("# Leave\n\nFifteen days a year.\n\nNone roll over.")

        parsed = await parser.parse(path, "md")

        assert [parsed.text[block.start : block.end] for block in parsed.blocks] == [
            "Leave",
            "Fifteen days a year.",
            "None roll over.",
        ]
        assert [block.headings for block in parsed.blocks] == [(), ("Leave",), ("Leave",)]
        assert parsed.title == "Leave"

    async def test_a_broken_file_is_refused(self, parser: Parser, tmp_path: Path) -> None:
        path = tmp_path / "original"
        path.write_bytes(self.broken)

        with pytest.raises(FileBroken):
            await parser.parse(path, self.broken_extension)

    async def test_a_file_without_text_is_refused(self, parser: Parser, tmp_path: Path) -> None:
        path = tmp_path / "original.txt"
        path.write_text(" \n --- \n")

        with pytest.raises(FileWithoutText):
            await parser.parse(path, "txt")
