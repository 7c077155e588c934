"""Tables met in several roles: managers among employees, the origin and the destination of a flight."""

import pytest

from services.sql.models import NoDraft, Schema
from tests.unit.sql.grounding.schemas import DATE, INTEGER, NUMBER, TEXT, column, draft, sql_for, table


def airline() -> Schema:
    return Schema(
        (
            table(
                "airport",
                column("code", TEXT, "AAA", "BBB", "CCC"),
                column("name", TEXT, "Alpha Field", "Beta Field", "Gamma Field"),
                column("city", TEXT, "Aville", "Bville", "Cville"),
                key="code",
            ),
            table(
                "flight",
                column("flight_id", INTEGER),
                column("origin", TEXT, "AAA", "BBB", "CCC"),
                column("destination", TEXT, "AAA", "BBB", "CCC"),
                column("departure_time", DATE),
                column("delay_minutes", INTEGER),
                key="flight_id",
                origin="airport.code",
                destination="airport.code",
            ),
        ),
        fingerprint="a" * 64,
    )


def staff() -> Schema:
    return Schema(
        (
            table(
                "employee",
                column("employee_id", INTEGER),
                column("name", TEXT, "Ann Berg", "Bo Dahl", "Cy Eik"),
                column("salary", NUMBER),
                column("manager_id", INTEGER),
                key="employee_id",
                manager_id="employee.employee_id",
            ),
        ),
        fingerprint="b" * 64,
    )


@pytest.mark.parametrize(
    ("question", "role", "city"),
    [
        ("How many flights depart from Aville?", "origin", "Aville"),
        ("How many flights arrived in Bville?", "destination", "Bville"),
        ("How many flights leave Cville?", "origin", "Cville"),
    ],
)
def test_a_verb_says_which_role_is_meant(question: str, role: str, city: str) -> None:
    assert sql_for(question, airline()) == (
        "SELECT COUNT(*) AS flight_count FROM public.flight "
        f"JOIN public.airport AS {role} ON {role}.code = flight.{role} WHERE {role}.city = '{city}'"
    )


def test_from_and_to_name_both_roles() -> None:
    sql = sql_for("How many flights from Aville to Bville?", airline())

    assert "origin.city = 'Aville' AND destination.city = 'Bville'" in sql


def test_without_a_word_for_it_either_role_may_be_meant() -> None:
    sql = sql_for("How many flights were there for Aville?", airline())

    assert "destination.city = 'Aville' OR origin.city = 'Aville'" in sql


def test_a_group_by_a_table_that_only_roles_link_is_refused() -> None:
    assert isinstance(draft("How many flights does each airport have?", airline()), NoDraft)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (
            "Employees who earn more than their manager",
            "SELECT employee.name FROM public.employee "
            "JOIN public.employee AS manager ON manager.employee_id = employee.manager_id "
            "WHERE employee.salary > manager.salary",
        ),
        (
            "Who is the manager of Bo Dahl?",
            "SELECT manager.name FROM public.employee AS manager WHERE EXISTS (SELECT 1 FROM public.employee "
            "WHERE employee.manager_id = manager.employee_id AND employee.name = 'Bo Dahl')",
        ),
        (
            "How many employees report to each manager?",
            "SELECT manager.name, COUNT(*) AS employee_count FROM public.employee "
            "JOIN public.employee AS manager ON manager.employee_id = employee.manager_id "
            "GROUP BY manager.employee_id, manager.name",
        ),
        (
            "Employees without a manager",
            "SELECT employee.name FROM public.employee WHERE NOT EXISTS (SELECT 1 FROM public.employee AS manager "
            "WHERE manager.employee_id = employee.manager_id)",
        ),
    ],
)
def test_a_table_is_joined_to_itself_where_a_role_is_named(question: str, expected: str) -> None:
    assert sql_for(question, staff()) == expected


def test_the_explanation_says_what_a_role_stands_for() -> None:
    outcome = draft("How many flights depart from Aville?", airline())

    assert not isinstance(outcome, NoDraft)
    assert "origin is airport by flight.origin" in outcome.explanation
    assert outcome.tables == ("public.airport", "public.flight")


def test_a_bound_is_given_in_the_unit_of_the_column() -> None:
    assert "flight.delay_minutes > 120" in sql_for("Flights with a delay of more than 2 hours", airline())
