"""A database of several hundred tables, more than a prompt holds, and questions about few of them.

Its tables are like each other, as they are in grown systems: every department has the same kinds of things, so that no
word of a question stands for one table alone. Questions name a table, a value in it, what it belongs to, or what lies
beyond that.
"""

import json
from collections.abc import Iterator
from pathlib import Path

DATABASE = "departments"
PART = "wide"

DEPARTMENTS = (
    *("fleet", "warehouse", "clinic", "laboratory", "library", "kitchen", "studio", "harbour", "orchard", "foundry"),
    *("academy", "museum", "theatre", "bakery", "brewery", "nursery", "quarry", "sawmill", "vineyard", "workshop"),
    *("archive", "hostel", "stable", "garage", "laundry"),
)
# Kind, its column that no other kind has, and the kind it belongs to.
KINDS = (
    ("site", "floor_area", ""),
    ("team", "headcount", "site"),
    ("worker", "hourly_wage", "team"),
    ("shift", "duration_minutes", "worker"),
    ("course", "tuition_fee", "site"),
    ("exam", "pass_mark", "course"),
    ("supplier", "credit_limit", "site"),
    ("delivery", "pallet_count", "supplier"),
    ("device", "power_draw", "site"),
    ("inspection", "defect_count", "device"),
    ("contract", "penalty_rate", "supplier"),
    ("incident", "severity_level", "site"),
    ("visitor", "badge_number", "site"),
    ("booking", "deposit_amount", "visitor"),
)
_PLURALS = {"delivery": "deliveries"}
_SHARED_COLUMNS = (
    "name varchar(80) NOT NULL",
    "status varchar(20) NOT NULL",
    "created_on date NOT NULL",
    "updated_on date",
    "remark text",
    "external_reference varchar(40)",
    "is_archived boolean NOT NULL DEFAULT false",
)


def write_wide_part(data: Path) -> int:
    """Write the part under `data` as an evaluation folder has it; the number of tables."""
    folder = data / PART
    (folder / "databases").mkdir(parents=True)
    (folder / "databases" / f"{DATABASE}.sql").write_text("\n".join(_statements()), encoding="utf-8")
    lines = [
        json.dumps({"id": f"wide-{number}", "db": DATABASE, "ordered": False, **question})
        for number, question in enumerate(_questions())
    ]
    (folder / "questions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(DEPARTMENTS) * len(KINDS)


def _statements() -> Iterator[str]:
    for department in DEPARTMENTS:
        for kind, measure, owner in KINDS:
            columns = [f"{kind}_id integer PRIMARY KEY", *_SHARED_COLUMNS, f"{measure} numeric(10, 2)"]
            values = [
                "1",
                f"'{department} {kind} one'",
                "'open'",
                "'2025-03-01'",
                "NULL",
                "NULL",
                "NULL",
                "false",
                "7.5",
            ]
            if owner:
                columns.append(f"{owner}_id integer NOT NULL REFERENCES {department}_{owner} ({owner}_id)")
                values.append("1")
            yield f"CREATE TABLE {department}_{kind} ({', '.join(columns)});"
            yield f"INSERT INTO {department}_{kind} VALUES ({', '.join(values)});"


def _questions() -> Iterator[dict[str, object]]:
    """Five kinds of questions, spread over departments and kinds."""
    owners = {kind: owner for kind, _, owner in KINDS}
    for place, department in enumerate(DEPARTMENTS):
        kind, measure, owner = KINDS[place % len(KINDS)]
        table, words, plural = f"{department}_{kind}", measure.replace("_", " "), _PLURALS.get(kind, f"{kind}s")
        yield _question("named", f"How many {department} {plural} are there?", f"SELECT count(*) FROM {table}")
        yield _question(
            "measured", f"What is the highest {words} in the {department}?", f"SELECT max({measure}) FROM {table}"
        )
        yield _question(
            "filtered",
            f"Which {plural} of the {department} are open?",
            f"SELECT name FROM {table} WHERE status = 'open'",
        )
        if owner:
            yield _question(
                "joined",
                f"For each {department} {owner}, what is the total {words}?",
                f"SELECT o.name, sum(k.{measure}) FROM {table} AS k JOIN {department}_{owner} AS o USING ({owner}_id)"
                " GROUP BY o.name",
            )
        if owner and owners[owner]:
            beyond = owners[owner]
            yield _question(
                "bridged",
                f"How many {plural} belong to each {beyond} of the {department}?",
                f"SELECT b.name, count(*) FROM {table} JOIN {department}_{owner} AS o USING ({owner}_id)"
                f" JOIN {department}_{beyond} AS b USING ({beyond}_id) GROUP BY b.name",
            )


def _question(category: str, question: str, gold: str) -> dict[str, object]:
    return {"category": category, "question": question, "gold_sql": [gold]}
