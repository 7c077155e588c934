"""Which tables of a schema a prompt holds, and in which order."""

import re
from dataclasses import replace

import pytest

from services.sql.models import Column, ColumnKind, ForeignKey, Schema, Table
from services.sql.prompting.schema_text import estimate_tokens
from services.sql.prompting.told_schema import ToldSchema
from tests.unit.sql.large_schema import QUESTIONS, large_schema

LARGE = large_schema()
SMALL = Schema(LARGE.tables[:10])


def told(
    schema: Schema, question: str = "How many?", *, max_tokens: int = 14_000, known: dict[str, float] | None = None
) -> list[str]:
    """Full names of the tables that are told, in order."""
    tables = ToldSchema(schema, max_tokens=max_tokens, with_values=True).tell(question, known or {})
    return re.findall(r"^CREATE TABLE (\S+) \($", "\n".join(tables.all), re.MULTILINE)


def test_a_schema_that_fits_is_told_whole_in_the_order_of_names() -> None:
    turned = Schema(tuple(reversed(SMALL.tables)))

    assert told(SMALL) == told(turned, "Who?") == sorted(table.full_name for table in SMALL.tables)


@pytest.mark.parametrize(("max_tokens", "least_share"), [(14_000, 0.98), (8_000, 0.98), (4_000, 0.9)])
def test_a_prompt_holds_the_tables_that_the_question_takes(max_tokens: int, least_share: float) -> None:
    schema = ToldSchema(LARGE, max_tokens=max_tokens, with_values=True)

    missed = []
    for question, needed in QUESTIONS:
        text = "\n".join(schema.tell(question, {}).all)
        missed += [question] * any(f"CREATE TABLE {name} (" not in text for name in needed)

    assert not schema.is_whole
    assert 1 - len(missed) / len(QUESTIONS) >= least_share, missed


@pytest.mark.parametrize("max_tokens", [1_000, 4_000, 14_000])
def test_no_prompt_holds_more_than_it_may(max_tokens: int) -> None:
    schema = ToldSchema(LARGE, max_tokens=max_tokens, with_values=True)

    for question, _ in QUESTIONS:
        assert sum(map(estimate_tokens, schema.tell(question, {}).all)) <= max_tokens


def test_prompts_of_a_large_schema_begin_with_the_same_tables_whatever_is_asked() -> None:
    schema = ToldSchema(LARGE, max_tokens=14_000, with_values=True)

    first, second = (schema.tell(question, {}) for question, _ in QUESTIONS[:2])

    assert first.always == second.always
    assert first.chosen != second.chosen
    assert sum(map(len, first.always)) > 3_500
    # Those that most others point to.
    assert any(text.startswith("CREATE TABLE crm.customers (") for text in first.always)
    for texts in (first.always, first.chosen):
        assert list(texts) == sorted(texts, key=lambda text: text.partition("CREATE TABLE ")[2].partition(" (")[0])


def test_tables_that_something_else_speaks_for_are_told() -> None:
    name = "fleet.fleet_token"
    assert name not in told(LARGE, "How many?", max_tokens=3_000)

    assert name in told(LARGE, "How many?", max_tokens=3_000, known={name: 0.8, "no.such": 1.0})


def test_tables_that_a_text_names_are_told() -> None:
    schema = ToldSchema(LARGE, max_tokens=3_000, with_values=True)

    tables = schema.tell("What is our burn?", {}, ("Burn is the sum over energy_batch of this month.",))

    assert "CREATE TABLE energy.energy_batch (" in "\n".join(tables.all)


def wide_table(count: int = 1_600) -> Table:
    """The most columns that PostgreSQL takes, two of which are keys."""
    columns = [Column(f"measure_{n:04}", "float8", ColumnKind.NUMBER, comment="A measure " * 50) for n in range(count)]
    columns[700] = Column("site_id", "int4", ColumnKind.INTEGER)
    columns[1_400] = Column("salinity", "float8", ColumnKind.NUMBER)
    key = ForeignKey(("site_id",), "ops", "machines", ("machine_id",))
    return Table("lab", "samples", tuple(columns), primary_key=("measure_0000",), foreign_keys=(key,))


def test_a_very_wide_table_is_told_by_its_keys_and_by_what_the_question_speaks_of() -> None:
    schema = ToldSchema(Schema((*LARGE.tables, wide_table())), max_tokens=8_000, with_values=True)

    tables = schema.tell("Average salinity of the samples", {})

    [text] = [text for text in tables.chosen if "CREATE TABLE lab.samples (" in text]
    assert estimate_tokens(text) <= 2_000
    for line in ("  measure_0000 float8", "  site_id int4", "  salinity float8", "  FOREIGN KEY (site_id)"):
        assert f"\n{line}" in text
    assert re.search(r"-- and 1\d{3} more columns\n\);$", text)


def test_words_in_comments_and_values_lead_to_tables() -> None:
    assert "it.t_0417" in told(LARGE, "How many badge scans were there?", max_tokens=2_500)
    assert "hr.absences" in told(LARGE, "How many parental ones?", max_tokens=2_500)


def test_tables_between_two_that_are_named_are_told_where_keys_are_declared_or_only_named_alike() -> None:
    bare = Schema(tuple(replace(table, foreign_keys=()) for table in LARGE.tables))

    for schema in (LARGE, bare):
        assert "hr.assignments" in told(schema, "Projects of the employee Ada", max_tokens=3_000)


def test_questions_that_say_nothing_fill_the_room_all_the_same() -> None:
    for question in ("?", "", "x" * 4_000, "the of and", "\U0001f600" * 50, "' OR 1=1 --", "\ud800"):
        assert len(told(LARGE, question)) > 30
