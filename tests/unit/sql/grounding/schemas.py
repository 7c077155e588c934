"""Schemas made by hand, and the generator's answers over them."""

from services.sql.grounding.generator import GroundedGenerator
from services.sql.models import Column, ColumnKind, ForeignKey, NoDraft, Schema, SqlDraft, Table

INTEGER, NUMBER, TEXT, DATE = ColumnKind.INTEGER, ColumnKind.NUMBER, ColumnKind.TEXT, ColumnKind.DATE


def column(name: str, kind: ColumnKind, *values: str, comment: str = "", distinct: int | None = None) -> Column:
    """A column; values are known completely when any are given."""
    types = {INTEGER: "int4", NUMBER: "numeric", TEXT: "text", DATE: "date", ColumnKind.BOOLEAN: "bool"}
    types[ColumnKind.TIMESTAMP] = "timestamp"
    known = tuple(sorted(values))
    return Column(
        name, types[kind], kind, comment, values=known, values_complete=bool(values), distinct_estimate=distinct
    )


def table(name: str, *columns: Column, key: str = "", comment: str = "", rows: int = -1, **references: str) -> Table:
    """A table of schema public; references are given as column="table.column"."""
    keys = []
    for source, target in references.items():
        other, _, referenced = target.partition(".")
        keys.append(ForeignKey((source,), "public", other, (referenced,)))
    primary = (key,) if key else ()
    return Table(
        "public", name, columns, comment, primary_key=primary, foreign_keys=tuple(keys), estimated_row_count=rows
    )


def shop() -> Schema:
    """Customers, products, orders and their items, with keys and a few values."""
    return Schema(
        (
            table(
                "customers",
                column("customer_id", INTEGER),
                column("name", TEXT),
                column("email", TEXT),
                column("segment", TEXT, "Basic", "Enterprise", "Premium", "Standard"),
                column("city", TEXT, "Berlin", "Lyon", "New York", "Paris"),
                column("country", TEXT, "France", "Germany", "United States"),
                column("joined_on", DATE, comment="Date on which the customer registered."),
                key="customer_id",
            ),
            table(
                "order_items",
                column("order_item_id", INTEGER),
                column("order_id", INTEGER),
                column("product_id", INTEGER),
                column("quantity", INTEGER),
                column("unit_price", NUMBER),
                key="order_item_id",
                order_id="orders.order_id",
                product_id="products.product_id",
            ),
            table(
                "orders",
                column("order_id", INTEGER),
                column("customer_id", INTEGER),
                column("order_date", DATE),
                column("status", TEXT, "cancelled", "delivered", "pending"),
                column("total_amount", NUMBER, comment="Total sales amount of the order."),
                key="order_id",
                customer_id="customers.customer_id",
            ),
            table(
                "products",
                column("product_id", INTEGER),
                column("name", TEXT),
                column("category", TEXT, "Books", "Electronics", "Toys"),
                column("unit_price", NUMBER),
                column("stock_quantity", INTEGER, comment="Units in stock."),
                key="product_id",
            ),
        ),
        fingerprint="0" * 64,
    )


def draft(question: str, schema: Schema | None = None) -> SqlDraft | NoDraft:
    """What the generator makes of a question."""
    return GroundedGenerator().draft(question, schema or shop())


def sql_for(question: str, schema: Schema | None = None) -> str:
    """The SQL of a question on one line; fails when there is none."""
    outcome = draft(question, schema)
    assert isinstance(outcome, SqlDraft), outcome
    return " ".join(outcome.sql.split())
