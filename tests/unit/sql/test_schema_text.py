"""How a schema is told to a model."""

from dataclasses import replace

from services.sql.models import Column, ColumnKind, ForeignKey, Schema, Table, TableKind
from services.sql.prompting.schema_text import estimate_tokens, tell_table, tell_tables

ORDERS = Table(
    "public",
    "orders",
    (
        Column("id", "int4", ColumnKind.INTEGER, nullable=False),
        Column("customer_id", "int4", ColumnKind.INTEGER, comment="Who\nordered"),
        Column("status", "text", ColumnKind.TEXT, comment="State", values=("it's", "open"), values_complete=True),
        Column('Odd "name" -- x', "text", ColumnKind.TEXT),
    ),
    comment="One row\nfor each order",
    primary_key=("id",),
    foreign_keys=(ForeignKey(("customer_id",), "public", "customers", ("id",)),),
)


def test_a_table_is_told_as_the_statement_that_would_make_it() -> None:
    assert tell_table(ORDERS, with_values=True) == (
        "-- One row for each order\n"
        "CREATE TABLE public.orders (\n"
        "  id int4 NOT NULL,\n"
        "  customer_id int4, -- Who ordered\n"
        "  status text, -- State; one of 'it''s', 'open'\n"
        '  "Odd ""name"" -- x" text,\n'
        "  PRIMARY KEY (id),\n"
        "  FOREIGN KEY (customer_id) REFERENCES public.customers (id)\n"
        ");"
    )


def test_values_are_told_only_where_they_may_be_and_are_few() -> None:
    many = replace(ORDERS.columns[2], values=tuple(f"v{n}" for n in range(21)))
    partial = replace(ORDERS.columns[2], values_complete=False)
    long = replace(ORDERS.columns[2], values=("x" * 41,))
    lines = replace(ORDERS.columns[2], values=("open", "on\nhold"))

    for column in (many, partial, long, lines):
        assert "one of" not in tell_table(replace(ORDERS, columns=(column,)), with_values=True)
    assert "one of" not in tell_table(ORDERS, with_values=False)


def test_a_view_is_told_as_one() -> None:
    assert "CREATE VIEW public.orders (" in tell_table(replace(ORDERS, kind=TableKind.VIEW), with_values=True)


def wide_schema(count: int) -> Schema:
    columns = tuple(Column(f"column_{n}", "text", ColumnKind.TEXT) for n in range(20))
    wide = [Table("public", f"table_{n:03}", columns) for n in range(count)]
    return Schema((ORDERS, *wide, Table("public", "customers", columns)))


def test_the_order_of_tables_in_the_database_changes_nothing() -> None:
    schema = wide_schema(3)
    turned = Schema(tuple(reversed(schema.tables)))

    told = [tell_tables(each, wanted=(), max_tokens=10_000, with_values=True) for each in (schema, turned)]

    assert told[0] == told[1]
    assert len(told[0]) == 5


def test_of_a_schema_too_large_the_wanted_tables_and_what_they_refer_to_are_kept() -> None:
    schema = wide_schema(300)

    told = tell_tables(schema, wanted=("public.orders", "public.table_299"), max_tokens=1_000, with_values=True)

    kept = "\n".join(told)
    assert sum(map(estimate_tokens, told)) <= 1_000
    for name in ("orders", "customers", "table_299", "table_000"):
        assert f"CREATE TABLE public.{name} (" in kept
