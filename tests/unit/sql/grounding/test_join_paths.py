"""Keys declared and keys recognised, and the ways they open."""

from services.sql.grounding.join_paths import NO_WAY, JoinGraph, build_join_graph
from services.sql.grounding.lexicon import read_names
from services.sql.models import Schema
from tests.unit.sql.grounding.schemas import INTEGER, NUMBER, TEXT, column, shop, sql_for, table
from tests.unit.sql.large_schema import large_schema


def graph_of(schema: Schema) -> JoinGraph:
    return build_join_graph(schema, read_names(schema))


def keyless() -> Schema:
    """Two tables and a bridge without a declared key; names in initials, uniqueness told by the counts."""
    return Schema(
        (
            table("assignment", column("wid", INTEGER, distinct=3), column("fid", INTEGER, distinct=2), rows=5),
            table("field", column("fid", INTEGER, distinct=4), column("name", TEXT, "Hill Top", "Long Acre"), rows=4),
            table("worker", column("wid", INTEGER, distinct=6), column("name", TEXT), column("age", INTEGER), rows=6),
        )
    )


def test_the_shortest_way_goes_through_the_bridge() -> None:
    way = graph_of(shop()).path(("public.customers",), "public.products")

    assert way is not None
    assert [step.target for step in way] == ["public.orders", "public.order_items", "public.products"]


def test_to_one_ways_never_multiply_rows() -> None:
    graph = graph_of(shop())

    assert graph.path(("public.orders",), "public.customers", to_one=True) is not None
    assert graph.path(("public.customers",), "public.orders", to_one=True) is None


def test_undeclared_keys_are_recognised_by_name_and_values() -> None:
    graph = graph_of(keyless())

    assert graph.keys["public.worker"] == ("wid",)
    assert graph.keys["public.assignment"] == ()
    assert graph.distance("public.worker", "public.field") == 2


def test_a_question_is_answered_over_recognised_keys() -> None:
    statement = sql_for("Show the names of the workers assigned to Hill Top", keyless())

    assert "assignment.wid = worker.wid" in statement
    assert "field.name = 'Hill Top'" in statement


def test_unlinked_tables_are_not_joined() -> None:
    apart = Schema((table("alpha", column("alpha_id", INTEGER), key="alpha_id"), table("beta", column("size", NUMBER))))

    assert graph_of(apart).path(("public.alpha",), "public.beta") is None


def test_run_together_names_with_a_common_prefix_are_read() -> None:
    broker = Schema(
        (
            table("xxcustomer", column("xxcustid", TEXT), column("xxcustname", TEXT), key="xxcustid"),
            table("xxticker", column("xxtickerid", TEXT), column("xxtickersymbol", TEXT), key="xxtickerid"),
            table(
                "xxtrade",
                column("xxtrid", TEXT),
                column("xxtrcustid", TEXT),
                column("xxtramount", NUMBER),
                key="xxtrid",
            ),
        )
    )

    assert sql_for("Show the customer names", broker) == "SELECT xxcustomer.xxcustname FROM public.xxcustomer"
    assert graph_of(broker).distance("public.xxtrade", "public.xxcustomer") == 1


def test_a_distance_is_the_length_of_the_way() -> None:
    graph = graph_of(large_schema())
    tables = [name for name in graph.keys if graph.edges.get(name)][:40]

    lengths = {(one, other): graph.path((one,), other) for one in tables for other in tables}

    assert {pair: graph.distance(*pair) for pair in lengths} == {
        pair: NO_WAY if way is None else len(way) for pair, way in lengths.items()
    }
    assert len(set(map(len, filter(None, lengths.values())))) > 2
