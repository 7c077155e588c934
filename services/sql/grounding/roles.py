"""Tables met in more than one role: the manager among the employees, the home and the away team of a match.

Each role becomes a table of its own in the index, with the rows of the real one; SQL names the real one by an alias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.sql.grounding.join_paths import JoinGraph, build_join_graph
from services.sql.grounding.lexicon import Lexicon, NameWords, Role
from services.sql.grounding.words import split_identifier, stem
from services.sql.models import Column, ForeignKey, Schema, Table

_Link = tuple[str, str, str, tuple[str, ...]]  # table, column, the table it points to, words of the role

MOST_ROLES = 12
_KEY_WORDS = frozenset(stem(word) for word in "id key code number no by fk ref is the".split())
_ABOVE = ("manager", "mgr", "supervisor", "boss", "parent", "reportsto", "managedby", "referredby", "leader")


@dataclass(frozen=True)
class RoleSchema:
    """A schema with a table for each role, the words of its names, and pairs of tables that only roles link."""

    schema: Schema
    names: NameWords
    roles: dict[str, Role]  # by full name
    apart: frozenset[tuple[str, str]]


def with_roles(schema: Schema, names: NameWords, graph: JoinGraph) -> RoleSchema | None:
    """The schema with its roles as tables; None when there are none."""
    links = [link for table in schema.tables for link in _links_of(table, schema, names, graph)]
    found: dict[str, Role] = {}
    copies: list[Table] = []
    for link in links:
        source, column, target, words = link
        if not words or len(found) >= MOST_ROLES or not _is_role(link, links, graph):
            continue
        real = next(table for table in schema.tables if table.full_name == target)
        name = _free_name(schema, found, real, column)
        is_self = source == target
        found[name] = Role(name, source, column, target, words, is_self)
        alone = is_self or sum(one[0] == source and one[2] == target for one in links) == 1
        names.tables[name] = words if alone else tuple(dict.fromkeys((*words, *names.tables[target])))
        for one in real.columns:
            names.columns[name, one.name] = names.columns[target, one.name]
        copies.append(_copy(real, name, links, graph))
    if not found:
        return None
    originals = [_with_links(table, list(found.values()), graph) for table in schema.tables]
    ordered = tuple(sorted([*originals, *copies], key=lambda table: table.full_name))
    return RoleSchema(replace(schema, tables=ordered), names, found, _apart(links, found, graph))


def _links_of(table: Table, schema: Schema, names: NameWords, graph: JoinGraph) -> list[_Link]:
    return [*_declared(table, schema, names), *_named(table, schema, names, graph)]


def _is_role(link: _Link, links: list[_Link], graph: JoinGraph) -> bool:
    """Whether a column with a word of its own is one of several ways between two tables."""
    source, column, target, _ = link
    if source == target or any({one[0], one[2]} == {source, target} and one[1] != column for one in links):
        return True
    ways = [edge for edge in graph.edges.get(source, ()) if edge.target == target]
    return bool(ways) and not any(edge.to_one and edge.source_columns == (column,) for edge in ways)


def _copy(real: Table, name: str, links: list[_Link], graph: JoinGraph) -> Table:
    """The table under the name of a role; roles that its own rows point to are left to the table itself."""
    pointing = {column for source, column, _, words in links if source == real.full_name and words}
    keys = tuple(key for key in real.foreign_keys if not set(key.columns) & pointing)
    primary = graph.keys.get(real.full_name, ())
    return replace(real, name=name.split(".", 1)[1], primary_key=primary, foreign_keys=keys)


def _apart(links: list[_Link], found: dict[str, Role], graph: JoinGraph) -> frozenset[tuple[str, str]]:
    """Pairs of tables that roles alone link."""
    columns = {(role.source, role.column) for role in found.values()}
    plain = {(source, target) for source, column, target, _ in links if (source, column) not in columns}
    pairs = {(role.source, role.target) for role in found.values() if not role.is_self} - plain
    return frozenset(
        (source, target)
        for source, target in pairs
        if not any(edge.target == source and edge.to_one for edge in graph.edges.get(target, ()))
    )


def graph_with_roles(found: RoleSchema) -> JoinGraph:
    """The ways between tables and roles."""
    return build_join_graph(found.schema, found.names, closed=frozenset(found.roles), apart=found.apart)


def mark_roles(lexicon: Lexicon, roles: dict[str, Role]) -> Lexicon:
    """Tell the lexicon which of its tables are roles, and which table each stands for."""
    lexicon.roles = roles
    for name, role in roles.items():
        lexicon.tables[name] = replace(lexicon.tables[name], table=lexicon.tables[role.target].table)
    return lexicon


def _declared(table: Table, schema: Schema, names: NameWords) -> list[_Link]:
    known = {one.full_name for one in schema.tables}
    found: list[_Link] = []
    for key in table.foreign_keys:
        if len(key.columns) == 1 and key.referenced_name in known:
            words = _role_words(table, key.columns[0], key.referenced_name, names)
            found.append((table.full_name, key.columns[0], key.referenced_name, words))
    return found


def _named(table: Table, schema: Schema, names: NameWords, graph: JoinGraph) -> list[_Link]:
    """Links that nobody declared: "mgr_emp_no" beside the key "emp_no", "manager_id" in a table of its own kind."""
    taken = {column for key in table.foreign_keys for column in key.columns}
    found: list[_Link] = []
    for column in table.columns:
        if column.name in taken or graph.keys.get(table.full_name) == (column.name,):
            continue
        flat = column.name.lower().replace("_", "")
        for other in schema.tables:
            key = graph.keys.get(other.full_name, ())
            held = other.column(key[0]) if len(key) == 1 else None
            if held is None or held.kind != column.kind:
                continue
            end = held.name.lower().replace("_", "")
            ends_so = len(end) > 3 and flat != end and column.name.endswith(held.name)
            above = other is table and flat.startswith(_ABOVE) and flat.endswith(("id", "to", "no", "by"))
            if (ends_so or above) and _may_hold(column, held):
                words = _role_words(table, column.name, other.full_name, names)
                if words:
                    found.append((table.full_name, column.name, other.full_name, words))
                break
    return found


def _may_hold(column: Column, key: Column) -> bool:
    if column.min_value is None or key.min_value is None or column.max_value is None or key.max_value is None:
        return True
    try:
        return float(key.min_value) <= float(column.min_value) and float(column.max_value) <= float(key.max_value)
    except ValueError:
        return True


def _role_words(table: Table, column: str, target: str, names: NameWords) -> tuple[str, ...]:
    """The words of a referring column beyond those of the table it points to and of keys: home, from home_team_id."""
    own = names.columns[table.full_name, column]
    spoken = names.tables[target]
    words = tuple(word for word in own if word not in spoken and word not in _KEY_WORDS)
    return words or tuple(piece for piece in split_identifier(column) if piece in {"to", "from"})


def _free_name(schema: Schema, found: dict[str, Role], real: Table, column: str) -> str:
    pieces = split_identifier(column)
    while len(pieces) > 1 and stem(pieces[-1]) in _KEY_WORDS:
        pieces.pop()
    short, count = "_".join(pieces), 2
    taken = {table.full_name for table in schema.tables} | set(found)
    name = f"{real.schema}.{short}"
    while name in taken:
        name, count = f"{real.schema}.{short}_{count}", count + 1
    return name


def _with_links(table: Table, roles: list[Role], graph: JoinGraph) -> Table:
    """The table, its keys pointing to roles where they do."""
    roles = [role for role in roles if role.source == table.full_name]
    columns = {role.column for role in roles}
    keys = [key for key in table.foreign_keys if not (len(key.columns) == 1 and key.columns[0] in columns)]
    for role in roles:
        schema_name, short = role.name.split(".", 1)
        keys.append(ForeignKey((role.column,), schema_name, short, graph.keys[role.target]))
    return replace(table, foreign_keys=tuple(keys))
