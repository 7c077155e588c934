"""Figures of tables that have nothing to do with each other: "how many customers and how many products"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from services.sql.grounding.from_clause import CannotCompile
from services.sql.grounding.logical_form import LogicalForm, Measure, tables_of

Compile = Callable[[LogicalForm], tuple[str, frozenset[str]]]


def compile_apart(form: LogicalForm, compile_one: Compile) -> tuple[str, frozenset[str]] | None:
    """Each figure as a query of its own, side by side in one row; None for a form that does not ask for such figures.

    Raises CannotCompile: a condition stands beside the figures, and whose it is cannot be told.
    """
    figures = [one for one in form.outputs if isinstance(one, Measure)]
    counted = {one.table for one in figures if one.function == "count" and one.ref is None}
    if len(figures) != len(form.outputs) or len(counted) < 2:
        return None
    if form.groups or form.having or form.order or form.limit is not None or form.share_of or form.within:
        return None
    if form.conditions:
        if {table for one in form.conditions for table in tables_of(one)} & counted:
            raise CannotCompile("It is not clear which of the figures the condition is about.")
        return None
    parts: list[str] = []
    tables: set[str] = set()
    for figure in figures:
        sql, read = compile_one(replace(form, outputs=(figure,), subject=figure.table))
        name = sql.split(" AS ", 1)[1].split(None, 1)[0] if " AS " in sql else f"figure_{len(parts) + 1}"
        parts.append(f"({' '.join(sql.split())}) AS {name}")
        tables |= set(read)
    return "SELECT " + ", ".join(parts), frozenset(tables)
