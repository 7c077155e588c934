"""Grounding has many small modules: its map must know each of them."""

import re
from pathlib import Path

GROUNDING = Path(__file__).resolve().parents[3] / "services" / "sql" / "grounding"


def test_the_map_names_every_module_and_none_that_is_gone() -> None:
    modules = {path.stem for path in GROUNDING.glob("*.py")} - {"__init__"}
    text = (GROUNDING / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+)(?:\.py)?`", text))

    assert sorted(modules - named) == []
    assert sorted(named - modules) == []
