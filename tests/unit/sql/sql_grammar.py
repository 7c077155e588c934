"""Writes statements by chance and by a seed: right ones out of what the guard allows, and then spoilt ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from services.sql.guard_syntax import FUNCTIONS, KEYWORDS
from services.sql.models import Schema

# Calls that PostgreSQL's grammar knows by another form than name(argument, …), written where they belong.
_OTHER_FORMS = {"all", "any", "array", "row", "current_time", "current_timestamp", "localtime", "localtimestamp",
                "grouping", "coalesce", "greatest", "least", "nullif",
                "percentile_cont", "percentile_disc", "mode"}  # fmt: skip
_CALLS = sorted(FUNCTIONS - _OTHER_FORMS)
_AGGREGATES = ("count", "sum", "avg", "min", "max", "array_agg", "string_agg", "bool_or", "stddev", "json_agg")
_WINDOWED = ("row_number", "rank", "dense_rank", "lag", "lead", "first_value", "ntile", "sum", "count", "cume_dist")
_TYPES = ("int", "integer", "int4", "bigint", "int8", "smallint", "text", "varchar(5)", "varchar", "char(3)", "numeric",
          "numeric(10, 2)", "decimal", "date", "timestamp", "timestamptz", "timestamp with time zone", "time",
          "interval",
          "boolean", "bool", "float", "float8", "real", "double precision", "uuid", "json", "jsonb", "bytea", "int[]",
          "text[]", "order_status", "character varying(4)", "money", "inet", "int4range", "text[][]")  # fmt: skip
_OPERATORS = ("+", "-", "*", "/", "%", "^", "||", "=", "<>", "!=", "<", "<=", ">", ">=", "AND", "OR", "->", "->>", "#>",
              "#>>", "@>", "<@", "&&", "?", "?|", "?&", "&", "|", "#", "<<", ">>", "~", "~*", "!~", "!~*", "LIKE",
              "ILIKE",
              "NOT LIKE", "NOT ILIKE", "SIMILAR TO", "IS DISTINCT FROM", "IS NOT DISTINCT FROM",
              "OVERLAPS")  # fmt: skip
_LITERALS = ("1", "0", "42", "1.5", ".5", "2.", "1e3", "'x'", "''", "'it''s'", "'a;b'", "'--'", "'/*'", "NULL", "true",
             "false", "'2025-01-01'", "DATE '2025-01-01'", "TIMESTAMP '2025-01-01 10:00'", "INTERVAL '1 day'",
             "INTERVAL '1 day 02:00'", "INTERVAL '3' MONTH", "INTERVAL '1-2' YEAR TO MONTH", "'{1,2}'", "'{\"a\": 1}'",
             "current_date", "CURRENT_TIMESTAMP", "localtimestamp", "now()", "'%a_'", "'\\'", "'ü'", "'$1'",
             "1.5e-3")  # fmt: skip
_FIELDS = ("year", "MONTH", "day", "hour", "dow", "epoch", "quarter", "'week'", "days")
_ALIASES = ("a", "b", "t", "x", '"Mixed Case"', '"select"', "value", "año", '"a""b"', "total")


@dataclass(frozen=True)
class Item:
    """One thing in FROM: the name it goes by, and its columns as they are written."""

    name: str
    columns: tuple[str, ...]


class Grammar:
    """Right statements. PostgreSQL's parser takes nearly all of them; types and grouping may well be wrong."""

    def __init__(self, random: Random, schema: Schema) -> None:
        self._random = random
        self._tables = [
            (table.schema, _quoted(table.name), tuple(_quoted(column.name) for column in table.columns))
            for table in schema.tables
        ]
        self._number = 0

    def statement(self) -> str:
        """One statement, of two or three levels at most."""
        return self.query(self._random.choice((0, 0, 0, 0, 0, 1)), [], {})[0]

    def query(self, depth: int, outer: list[Item], ctes: dict[str, tuple[str, ...]]) -> tuple[str, tuple[str, ...]]:
        """Text, and names of its columns."""
        random, known, text = self._random, dict(ctes), ""
        if depth > 0 and random.random() < 0.2:
            text, known = self._with(depth, outer, known)
        kind = random.random()
        if depth > 0 and kind < 0.12:
            left, names = self._select(depth - 1, outer, known)
            right, _ = self._select(depth - 1, outer, known)
            operator = random.choice(("UNION", "UNION ALL", "EXCEPT", "INTERSECT", "UNION DISTINCT", "EXCEPT ALL"))
            if random.random() < 0.3:
                left, right = f"({left})", f"({right})"
            body = f"{left} {operator} {right}"
            if random.random() < 0.4:
                body += f" ORDER BY {random.choice((*names, '1'))}"
        elif kind < 0.14:
            schema, table, names = random.choice(self._tables)
            body = f"TABLE {table if schema == 'public' else f'{schema}.{table}'}"
        else:
            body, names = self._select(depth, outer, known)
            if random.random() < 0.3:
                body += " ORDER BY " + self._some(lambda: self._sorting(names), 2)
        return text + body + self._limit(), names

    def _with(
        self, depth: int, outer: list[Item], known: dict[str, tuple[str, ...]]
    ) -> tuple[str, dict[str, tuple[str, ...]]]:
        random, parts = self._random, []
        recursive = random.random() < 0.2
        for _ in range(random.choice((1, 1, 2))):
            name = random.choice((self._name("q"), "customers", '"Q"'))
            if recursive:
                parts.append(f"{name} (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM {name} WHERE n < 5)")
                known = {**known, name: ("n",)}
                continue
            body, names = self.query(depth - 1, outer, known)
            form = random.choice(("", "", "MATERIALIZED ", "NOT MATERIALIZED "))
            parts.append(f"{name} AS {form}({body})")
            known = {**known, name: names}
        return f"WITH {'RECURSIVE ' if recursive else ''}{', '.join(parts)} ", known

    def _select(self, depth: int, outer: list[Item], ctes: dict[str, tuple[str, ...]]) -> tuple[str, tuple[str, ...]]:
        random = self._random
        items: list[Item] = []
        source = self._from(depth, outer, ctes, items) if random.random() < 0.93 else ""
        scope = [*items, *outer]
        names, targets = [], []
        for _ in range(random.choice((1, 1, 2))):
            target, name = self._target(depth, scope, items, ctes)
            targets.append(target)
            names += name
        text = f"SELECT {self._distinct(scope)}{', '.join(targets)}{source}"
        if random.random() < 0.4:
            text += f" WHERE {self.expression(depth + 1, scope, ctes)}"
        if random.random() < 0.2:
            text += " GROUP BY " + self._some(lambda: self._grouping(scope), 2)
            if random.random() < 0.4:
                text += f" HAVING {self._aggregate(scope, ctes)} > 1"
        if random.random() < 0.04:
            text += f" WINDOW w AS (PARTITION BY {self._column(scope)} ORDER BY {self._column(scope)})"
        return text, tuple(names) or ("x",)

    def _distinct(self, scope: list[Item]) -> str:
        kind = self._random.random()
        if kind < 0.04:
            return f"DISTINCT ON ({self._column(scope)}) "
        return "DISTINCT " if kind < 0.12 else "ALL " if kind < 0.14 else ""

    def _target(
        self, depth: int, scope: list[Item], items: list[Item], ctes: dict[str, tuple[str, ...]]
    ) -> tuple[str, list[str]]:
        random = self._random
        kind = random.random()
        if items and kind < 0.08:
            return "*", [name for item in items for name in item.columns]
        if items and kind < 0.14:
            item = random.choice(items)
            return f"{item.name}.*", list(item.columns)
        alias = random.choice((*_ALIASES, self._name("c")))
        return f"{self.expression(depth + 1, scope, ctes)} AS {alias}", [alias]

    def _from(self, depth: int, outer: list[Item], ctes: dict[str, tuple[str, ...]], items: list[Item]) -> str:
        random = self._random
        text = " FROM " + self._item(depth, outer, ctes, items)
        for _ in range(random.choice((0, 0, 0, 0, 1, 1, 2))):
            kind = random.choice((",", "CROSS JOIN", "NATURAL JOIN", "JOIN", "LEFT JOIN", "INNER JOIN",
                                  "FULL OUTER JOIN", "RIGHT JOIN", "USING", "LATERAL"))  # fmt: skip
            if kind == "USING":
                left = items[-1]
                joined = self._item(depth, outer, ctes, items)
                shared = [name for name in left.columns if name in items[-1].columns]
                on = f"USING ({shared[0]})" if shared else f"ON {self._condition(items)}"
                text += f" JOIN {joined} {on}"
            elif kind == "LATERAL":
                query, names = self.query(depth - 1, [*items, *outer], ctes) if depth > 0 else ("SELECT 1 AS n", ("n",))
                alias = self._name("l")
                text += f" CROSS JOIN LATERAL ({query}) AS {alias}"
                items.append(Item(alias, names))
            else:
                joined = self._item(depth, outer, ctes, items)
                text += f"{'' if kind == ',' else ' '}{kind} {joined}"
                if kind not in {",", "CROSS JOIN", "NATURAL JOIN"}:
                    text += f" ON {self._condition(items)}"
        return text

    def _item(self, depth: int, outer: list[Item], ctes: dict[str, tuple[str, ...]], items: list[Item]) -> str:
        random, alias = self._random, self._name("s")
        kind = random.random()
        if depth > 0 and kind < 0.15:
            query, names = self.query(depth - 1, outer, ctes)
            items.append(Item(alias, names))
            return f"({query}) AS {alias}"
        if kind < 0.2:
            items.append(Item(alias, ("column1", "column2")))
            return f"(VALUES (1, 'x'), (2, NULL)) {alias}"
        if kind < 0.25:
            items.append(Item(alias, (alias,)))
            return random.choice((f"generate_series(1, 3) AS {alias}", f"unnest(ARRAY[1, 2]) {alias}"))
        if ctes and kind < 0.5:
            name = random.choice(list(ctes))
            items.append(Item(alias, ctes[name]))
            return f"{name} AS {alias}"
        schema, table, names = random.choice(self._tables)
        full = table if schema == "public" and table not in ctes and random.random() < 0.7 else f"{schema}.{table}"
        if random.random() < 0.3 and table not in {item.name for item in items}:
            items.append(Item(table, names))
            return full
        items.append(Item(alias, names))
        return f"{full} {random.choice(('', 'AS '))}{alias}"

    def expression(self, depth: int, scope: list[Item], ctes: dict[str, tuple[str, ...]]) -> str:
        """A value, a condition, or anything in between."""
        random = self._random
        if depth <= 0 or random.random() < 0.25:
            return self._column(scope) if scope and random.random() < 0.6 else random.choice(_LITERALS)

        def part() -> str:
            return self.expression(depth - 1, scope, ctes)

        forms: Sequence[Callable[[], str]] = (
            lambda: f"{part()} {random.choice(_OPERATORS)} {part()}",
            lambda: f"({part()} {random.choice(_OPERATORS)} {part()})",
            lambda: f"{random.choice(_CALLS)}({self._some(part, 3)})",
            lambda: f"{random.choice(('coalesce', 'greatest', 'least', 'concat'))}({self._some(part, 3)})",
            lambda: f"nullif({part()}, {part()})",
            lambda: self._aggregate(scope, ctes),
            lambda: self._windowed(scope),
            lambda: f"CASE WHEN {part()} THEN {part()} ELSE {part()} END",
            lambda: f"CASE {part()} WHEN 1 THEN {part()} END",
            lambda: f"CAST({part()} AS {random.choice(_TYPES)})",
            lambda: f"({part()})::{random.choice(_TYPES)}",
            lambda: f"{self._column(scope)}::{random.choice(_TYPES)}",
            lambda: f"NOT {part()}",
            lambda: f"-{self._column(scope)}",
            lambda: f"{part()} IS {random.choice(('NULL', 'NOT NULL', 'TRUE', 'NOT FALSE', 'UNKNOWN'))}",
            lambda: f"{part()} {random.choice(('IN', 'NOT IN'))} ({self._some(part, 3)})",
            lambda: f"({part()}) {random.choice(('BETWEEN', 'NOT BETWEEN'))} 1 AND {part()}",
            lambda: f"{self._column(scope)} LIKE 'a!%' ESCAPE '!'",
            lambda: f"extract({random.choice(_FIELDS)} FROM {part()})",
            lambda: random.choice((f"trim(both 'x' from {part()})", f"substring({part()} from 1 for 2)",
                                   f"position('a' in {self._column(scope)})", f"overlay({part()} placing 'x' from 1)",
                                   f"trim({part()})", f"substring({part()}, 1, 2)")),
            lambda: f"ARRAY[{self._some(part, 3)}]",
            lambda: random.choice((f"({part()})[1]", "(ARRAY[1, 2, 3])[1:2]")),
            lambda: f"{self._column(scope)} AT TIME ZONE 'UTC'",
            lambda: f"{self._column(scope)} COLLATE \"C\"",
            lambda: f"{part()} {random.choice(('= ANY', '<> ALL', '> SOME', 'LIKE ANY'))} (ARRAY['a', 'b'])",
            lambda: f"({part()}, {part()}) = (1, {part()})",
            lambda: f"ROW({self._some(part, 2)})",
            lambda: self._subquery(depth, scope, ctes),
        )  # fmt: skip
        return random.choice(forms)()

    def _subquery(self, depth: int, scope: list[Item], ctes: dict[str, tuple[str, ...]]) -> str:
        query, _ = self.query(min(depth - 1, 1), scope, ctes)
        form = self._random.choice(("({})", "EXISTS ({})", "NOT EXISTS ({})", "1 IN ({})", "1 NOT IN ({})", "ARRAY({})",
                                    "1 > ALL ({})", "2 = ANY ({})", "3 < SOME ({})"))  # fmt: skip
        return form.format(query)

    def _aggregate(self, scope: list[Item], ctes: dict[str, tuple[str, ...]]) -> str:
        random = self._random
        kind = random.random()
        if kind < 0.2:
            return "count(*)"
        if kind < 0.3:
            return f"percentile_cont(0.5) WITHIN GROUP (ORDER BY {self._column(scope)})"
        text = f"{random.choice(_AGGREGATES)}({random.choice(('', 'DISTINCT '))}{self.expression(1, scope, ctes)}"
        if random.random() < 0.2:
            text += f" ORDER BY {self._column(scope)} DESC"
        return text + random.choice((")", ")", f") FILTER (WHERE {self._column(scope)} IS NOT NULL)"))

    def _windowed(self, scope: list[Item]) -> str:
        random, order = self._random, f"ORDER BY {self._column(scope)}"
        frame = random.choice(("", " ROWS UNBOUNDED PRECEDING", " ROWS BETWEEN 1 PRECEDING AND CURRENT ROW",
                               " RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
                               " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES"))  # fmt: skip
        window = random.choice(("()", f"(PARTITION BY {self._column(scope)})", f"({order}{frame})", f"({order} DESC)"))
        return f"{random.choice(_WINDOWED)}({self._column(scope)}) OVER {window}"

    def _grouping(self, scope: list[Item]) -> str:
        one, two = self._column(scope), self._column(scope)
        return self._random.choice((one, one, "1", f"lower({one})", f"ROLLUP ({one}, {two})", f"CUBE ({one})",
                                    f"GROUPING SETS (({one}), ({two}, {one}), ())"))  # fmt: skip

    def _sorting(self, names: tuple[str, ...]) -> str:
        random = self._random
        return random.choice((*names, "1")) + random.choice(("", " ASC", " DESC", " NULLS FIRST", " DESC NULLS LAST"))

    def _limit(self) -> str:
        random = self._random
        return random.choice(("", "", "", "", " LIMIT 5", " LIMIT 99999", " LIMIT ALL", " LIMIT NULL", " OFFSET 3",
                              " LIMIT 2 OFFSET 1", " FETCH FIRST 3 ROWS ONLY", " OFFSET 1 ROWS FETCH NEXT ROW ONLY",
                              " FETCH FIRST ROW ONLY"))  # fmt: skip

    def _condition(self, items: list[Item]) -> str:
        return f"{self._column(items)} {self._random.choice(('=', '<', '<>'))} {self._column(items)}"

    def _column(self, scope: Sequence[Item]) -> str:
        if not scope:
            return "1"
        item = self._random.choice(scope)
        name = self._random.choice(item.columns)
        return f"{item.name}.{name}" if self._random.random() < 0.6 else name

    def _some(self, part: Callable[[], str], most: int) -> str:
        return ", ".join(part() for _ in range(self._random.randint(1, most)))

    def _name(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix}{self._number}"


def _quoted(name: str) -> str:
    return (
        name if name.islower() and name.isidentifier() and name not in KEYWORDS else '"' + name.replace('"', '""') + '"'
    )
