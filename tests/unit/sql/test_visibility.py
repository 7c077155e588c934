"""Which tables and columns are spoken of, by the operator's patterns."""

import pytest

from services.sql.fingerprints import structure_digest
from services.sql.models import Column, ForeignKey, Table
from services.sql.visibility import Visibility

CUSTOMERS = Table(
    "public",
    "customers",
    (Column("id", "int4"), Column("name", "text"), Column("password_hash", "text")),
    primary_key=("id",),
)
ORDERS = Table(
    "public",
    "orders",
    (Column("id", "int4"), Column("customer_id", "int4")),
    primary_key=("id",),
    foreign_keys=(ForeignKey(("customer_id",), "public", "customers", ("id",)),),
)
SALARIES = Table("hr", "salaries", (Column("employee", "text"), Column("salary", "numeric")))
TABLES = (CUSTOMERS, ORDERS, SALARIES)


def shown(tables: str = "", hidden_columns: str = "") -> list[Table]:
    return Visibility.parse(tables, hidden_columns).shown(TABLES)


def names(tables: str) -> list[str]:
    return [table.full_name for table in shown(tables)]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("", ["public.customers", "public.orders", "hr.salaries"]),
        ("*.*", ["public.customers", "public.orders", "hr.salaries"]),
        ("public.*", ["public.customers", "public.orders"]),
        ("orders", ["public.orders"]),
        ("public.order?, hr.*", ["public.orders", "hr.salaries"]),
        ("PUBLIC.*", []),
        ("public.customer", []),
    ],
)
def test_tables_are_shown_by_patterns(patterns: str, expected: list[str]) -> None:
    assert names(patterns) == expected


@pytest.mark.parametrize(
    "pattern", ["password_hash", "*.password_hash", "customers.pass*", "public.customers.password_*"]
)
def test_a_hidden_column_is_gone_and_its_table_says_that_it_has_more(pattern: str) -> None:
    customers = shown(hidden_columns=pattern)[0]

    assert [column.name for column in customers.columns] == ["id", "name"]
    assert customers.has_hidden_columns
    assert customers.primary_key == ("id",)


def test_a_table_that_could_get_a_hidden_column_says_so_before_it_has_one() -> None:
    customers, orders, salaries = shown(hidden_columns="*.ssn, hr.*.x")

    assert (customers.has_hidden_columns, orders.has_hidden_columns, salaries.has_hidden_columns) == (True, True, True)
    assert [table.has_hidden_columns for table in shown(hidden_columns="hr.salaries.salary")] == [False, False, True]


def test_keys_that_lead_over_hidden_columns_or_tables_are_gone() -> None:
    assert shown(hidden_columns="customers.id")[1].foreign_keys == ()
    assert shown(hidden_columns="customers.id")[0].primary_key == ()
    assert shown(hidden_columns="orders.customer_id")[1].foreign_keys == ()
    assert shown("orders")[0].foreign_keys == ()
    assert shown(hidden_columns="name")[1].foreign_keys == ORDERS.foreign_keys


def test_a_table_without_columns_left_is_gone() -> None:
    assert [table.full_name for table in shown(hidden_columns="hr.salaries.*")] == ["public.customers", "public.orders"]


def test_hiding_more_changes_the_digest_so_that_the_schema_is_read_again() -> None:
    digests = {structure_digest(shown(hidden_columns=hidden)) for hidden in ("", "ssn", "password_hash")}

    assert len(digests) == 3


@pytest.mark.parametrize(("tables", "hidden"), [("a.b.c", ""), (".b", ""), ("", "a.b.c.d"), ("", "a..c"), ("a.", "")])
def test_a_pattern_that_cannot_be_read_is_refused(tables: str, hidden: str) -> None:
    with pytest.raises(ValueError, match="part"):
        Visibility.parse(tables, hidden)


@pytest.mark.parametrize("text", [";;", ",", "public.orders;public.customers", '"public"."orders"', "orders|customers"])
def test_a_list_that_is_written_wrongly_is_refused_and_shows_nothing(text: str) -> None:
    for tables, hidden in ((text, ""), ("", text)):
        with pytest.raises(ValueError, match=r"sign|names nothing"):
            Visibility.parse(tables, hidden)


def test_patterns_that_stand_for_nothing_are_named_with_their_setting() -> None:
    visibility = Visibility.parse("public.*, sales.*", "customers.nope, *.password_hash, ssn")

    assert str(visibility.unmatched(TABLES)) == "SQL_TABLES: sales.*; SQL_HIDDEN_COLUMNS: customers.nope, ssn"
    assert str(Visibility().unmatched([])) == ""
