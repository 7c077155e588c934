"""Statements as an attacker would write them: right ones spoilt by chance, and known tricks in all combinations."""

from __future__ import annotations

import re
from random import Random

from tests.unit.sql.sql_grammar import Grammar

_WRITES = (
    "DELETE FROM customers", "DROP TABLE customers", "UPDATE customers SET name = 'x'", "INSERT INTO orders VALUES (1)",
    "TRUNCATE orders", "COMMIT", "SET ROLE postgres", "COPY customers TO PROGRAM 'id'", "DO $$BEGIN END$$", "VACUUM",
    "CREATE TABLE t AS SELECT 1", "ALTER ROLE x SUPERUSER", "GRANT ALL ON orders TO PUBLIC", "LISTEN x", "CALL f()",
    "PREPARE p AS SELECT 1", "EXECUTE p", "EXPLAIN ANALYZE SELECT 1", "LOCK TABLE orders", "SELECT 2", "VALUES (1)",
    "MERGE INTO orders o USING customers c ON true WHEN MATCHED THEN DELETE", "DECLARE c CURSOR FOR SELECT 1",
    "REFRESH MATERIALIZED VIEW v", "DISCARD ALL", "CHECKPOINT", "NOTIFY x", "SHOW ALL", "TABLE pg_authid",
)  # fmt: skip
_CALLS = (
    "pg_sleep(9)", "pg_read_file('/etc/passwd')", "pg_ls_dir('/')", "set_config('role', 'postgres', false)",
    "current_setting('x')", "lo_import('/x')", "lo_export(1, '/x')", "dblink('x', 'y')",
    "query_to_xml('x', true, true, '')",
    "pg_terminate_backend(1)", "pg_advisory_lock(1)", "nextval('s')", "setval('s', 1)", "version()",
    "current_database()",
    "inet_server_addr()", "pg_catalog.pg_sleep(1)", "pg_catalog.lower('x')", "public.lower('x')", "\"pg_sleep\"(1)",
    "PG_SLEEP(1)", "xmlparse(document '<a/>')", "xmlelement(name a)", "ts_stat('SELECT 1')", "pg_notify('a', 'b')",
    "database_to_xml(true, true, '')", "txid_current()", "has_table_privilege('x', 'y')", "to_regclass('pg_class')",
    "pg_get_viewdef(1)", "unistr('\\0041')", "json_value('{}', '$')", "(customers).name", "customers.lower",
    "(orders.*)",
    "current_user", "session_user", "current_role", "current_schema", "current_catalog", "user", "system_user",
    "ctid", "xmin", "tableoid", "customers.ctid", "orders", "public.orders.tags", "x.public.customers.name", "$1",
    ":name",
    "%s", "?", "@@x", "@x", "E'\\'; DROP TABLE customers; --'", "U&'\\0027'", "U&'!0027' UESCAPE '!'", "$$x$$",
    "$a$';$a$",
    "B'1'", "X'ff'", "N'x'", "'a' 'b'", "'a'\n'b'", "'\\'", "1_000", "0x1f", "1e", "1a", "'a' COLLATE pg_catalog.\"C\"",
    "1 OPERATOR(pg_catalog.+) 2", "'x'::regclass", "'1'::oid", "'x'::pg_catalog.text", "'x'::\"char\"", "'a'::xml",
    "NULL::customers", "ROW(1).f1", "(1, 2).*", "GROUPING(1)", "1 IS OF (int)", "'a' IS NORMALIZED", "1 ISNULL",
    "ARRAY[1][1]", "count(ALL 1)", "count(DISTINCT 1 ORDER BY 1)", "lower(VARIADIC ARRAY['a'])", "f(a => 1)",
    "f(a := 1)",
    "JSON_OBJECT('a': 1)", "1 AT TIME ZONE 'x'", "1 AT LOCAL", "TREAT(1 AS int)", "CAST(1 AS int) FORMAT 'x'",
    "COLLATION FOR ('x')", "extract(pg_sleep FROM now())", "overlay('a', 'b', 1)", "position('a', 'b')",
    "trim('a', 'b')",
    "substring('a' similar 'b' escape '#')", "sum(1) WITHIN GROUP (ORDER BY 1)", "rank() OVER missing", "-+-1",
    "- -1", "--1",
    "1 !~~ 2", "1 <=> 2", "1 @@ 2", "1 |/ 2", "!!1", "@ 1", "|/ 4", "1 <-> 2", "1 ~~ 'a'", "1 == 1", "1 ! 2", "1 // 2",
)  # fmt: skip
_PARTS = (
    " FOR UPDATE", " FOR SHARE OF customers", " FOR NO KEY UPDATE SKIP LOCKED", " INTO stolen", " INTO TEMP t",
    " LIMIT 1 + 1",
    " LIMIT (SELECT 1)", " LIMIT -1", " LIMIT 1.5", " LIMIT 1, 2", " LIMIT 10 LIMIT 20",
    " FETCH FIRST 2 ROWS WITH TIES",
    " FETCH FIRST 10 PERCENT ROWS ONLY", " FETCH NEXT ROW ONLY", " OFFSET 1 ROWS", " WINDOW w AS ()", " GROUP BY ()",
    " GROUP BY ALL", " GROUP BY DISTINCT ROLLUP (name)", " TABLESAMPLE SYSTEM (1)", " WITH TIES", " QUALIFY 1 = 1",
    " ORDER BY name USING <", " SETTINGS x = 1", " FROM ONLY customers", " FROM customers *",
    " FROM pg_catalog.pg_class",
    " FROM information_schema.tables", " FROM pg_temp.t", " FROM ROWS FROM (unnest(ARRAY[1]))", " FROM pg_ls_dir('.')",
    " FROM XMLTABLE('/a' PASSING '<a/>' COLUMNS x int)", " FROM JSON_TABLE('[]', '$' COLUMNS (x int PATH '$'))",
    " FROM customers, LATERAL pg_sleep(1)", " FROM customers AS c(a, b) WHERE c.a = 1", " RETURNING *",
    " AS OF SYSTEM TIME 1",
    " FROM customers CROSS APPLY orders", " FROM customers SEMI JOIN orders ON true", " PIVOT (sum(x) FOR y IN (1))",
    " FROM generate_series(1, 3) WITH ORDINALITY AS g(a, b)", " FROM unnest(ARRAY[1]) AS u(a int)",
    " WHERE CURRENT OF c",
    " FROM customers ASOF JOIN orders ON true", " FROM (customers)", " FROM ((SELECT 1))", " FROM (SELECT 1)",
    " WHERE 1",
    " CONNECT BY 1 = 1", " START WITH 1 = 1", " FROM LATERAL (SELECT 1) x", " FROM VALUES (1)", " FROM (VALUES (1)) v",
    " SEARCH DEPTH FIRST BY n SET o", " CYCLE n SET c USING p", " UNION", " UNION ALL BY NAME SELECT 1",
    " EXCEPT DISTINCT SELECT 1",
)  # fmt: skip
_NASTY = (
    ";", "；", "--", "-- \r", "--\n", "/*", "*/", "/**/", "/* /* */", "/*+ x */", "#", "'", "''", '"', '""', "`", "\\",
    "\\'",
    "$$", "$a$", "\t", "\r", "\n", "\r\n", "\u00a0", "\u2003", "\u3000", "\u200b", "\ufeff", "\u2028", "\x0b", "\x0c",
    "\x00", "\x1c", "\x85", "\u037e", "\u02bc", "\u2019", "\uff07", "\u0131", "\u017f", "\u212a", "\u00df", "ﬁ", "İ",
    "é",
    "(", ")", "[", "]", "{", "}", "((", "))", ",", ".", "..", "::", ":=", "=>", "@", "%", "&", "|", "<", ">", "!",
    "~", "^",
    "+", "-", "*", "/", "1", "0", "e", "E", "U&", "N", "_", "$", "?", ":", "=", "\ud800", "😀",
)  # fmt: skip
_WORDS = (
    "SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "IS", "NULL", "AS", "JOIN", "ON", "LEFT", "USING",
    "GROUP BY", "HAVING",
    "ORDER BY", "LIMIT", "OFFSET", "ALL", "ANY", "UNION", "EXCEPT", "WITH", "RECURSIVE", "DISTINCT", "CASE", "WHEN",
    "THEN", "END",
    "EXISTS", "BETWEEN", "SYMMETRIC", "LIKE", "ESCAPE", "OVER", "PARTITION BY", "FILTER", "ARRAY[", "LATERAL",
    "INTERVAL", "VALUES",
    "COLLATE", "AT TIME ZONE", "CAST(", "TABLE", "ROWS", "ONLY", "INTO", "FOR", "UPDATE", "DELETE", "SET",
    "RETURNING", "ROW",
    "DATE", "TIMESTAMP", "TIME", "int", "OVERLAPS", "SIMILAR TO", "VARIADIC", "DEFAULT", "NATURAL", "CROSS", "WINDOW",
)  # fmt: skip
_CONFUSED = str.maketrans(
    {"i": "\u0131", "s": "\u017f", "k": "\u212a", "I": "İ", "a": "\u0430", "e": "\u0435", "o": "\u043e"}
)


class Attacker:
    """One statement after another, each by chance; the same for the same seed."""

    def __init__(self, random: Random, grammar: Grammar) -> None:
        self._random = random
        self._grammar = grammar
        self._tricks = (self._by_words, self._by_words, self._by_characters, self._stacked, self._with_write,
        self._call,
                        self._call, self._part, self._part, self._confused, self._commented)  # fmt: skip

    def statement(self) -> str:
        """Spoilt, or an attack."""
        return self._random.choice(self._tricks)()

    def _by_words(self) -> str:
        random, words = self._random, self._grammar.statement().split(" ")
        for _ in range(random.randint(1, 3)):
            place = random.randrange(len(words) + 1)
            new = random.choice(
                (random.choice(_WORDS), random.choice(_CALLS), random.choice(_NASTY), random.choice(words), "")
            )
            words[place : place + random.randint(0, 1)] = [new] if new else []
            words = words or ["SELECT"]
        return " ".join(words)

    def _by_characters(self) -> str:
        random, text = self._random, self._grammar.statement()
        for _ in range(random.randint(1, 2)):
            place = random.randrange(len(text) + 1)
            text = text[:place] + random.choice(("", random.choice(_NASTY))) + text[place + random.randint(0, 1) :]
        return text

    def _stacked(self) -> str:
        random = self._random
        between = random.choice(
            (";", "; ", ";;", "; --\n", ";/**/", "；", "\u037e", "\x00;", "\n;\n", " \\; ", "\r;", " ", "\n")
        )
        return self._grammar.statement() + between + random.choice(_WRITES) + random.choice(("", ";", " --", "/*"))

    def _with_write(self) -> str:
        random = self._random
        write = random.choice(_WRITES) + random.choice(("", " RETURNING *"))
        return random.choice(
            (
                f"WITH w AS ({write}) SELECT * FROM w",
                f"WITH w AS ({write}) {self._grammar.statement()}",
                f"SELECT * FROM ({write}) AS w",
                f"SELECT ({write}) AS w",
                f"SELECT 1 WHERE EXISTS ({write})",
                f"SELECT 1 UNION {write}",
                f"WITH a AS (SELECT 1), w AS MATERIALIZED ({write}) SELECT 1 FROM a",
                write,
                f"({write})",
                f"{write} UNION SELECT 1",
            )
        )

    def _call(self) -> str:
        random, text = self._random, self._grammar.statement()
        places = [match.start() for match in re.finditer(r"\b(?:1|'x'|NULL|true|now\(\))", text)] or [len("SELECT ")]
        place = random.choice(places)
        end = place + len(re.match(r"1|'x'|NULL|true|now\(\)|", text[place:]).group())  # type: ignore[union-attr]
        return text[:place] + random.choice(_CALLS) + text[end:]

    def _part(self) -> str:
        random = self._random
        text = random.choice((self._grammar.statement(), "SELECT 1", "SELECT name FROM customers", "SELECT 1 AS n"))
        return text + random.choice(_PARTS)

    def _confused(self) -> str:
        random, words = self._random, self._grammar.statement().split(" ")
        place = random.randrange(len(words))
        words[place] = words[place].translate(_CONFUSED)
        return random.choice((" ", " ", "\t", "\n", "\r\n", "\u00a0", "\r")).join(words)

    def _commented(self) -> str:
        random, words = self._random, self._grammar.statement().split(" ")
        place = random.randrange(len(words) + 1)
        attack = random.choice(_WRITES)
        words.insert(
            place,
            random.choice((f"/* {attack} */", f"/*! {attack} */", f"/* /* */ {attack} */", f"/* /* {attack} */",
                           f"-- {attack}\n",
                           f"--\r{attack}\n", f"-- \u2028{attack}\n", f"--{attack}\r\n", f"# {attack}\n",
                           f"/*+ {attack} */",
                           "/*/", "/**", "//", f"/* ' */ {attack} /* ' */", f"' /* ' || ' */ {attack}'",
                           f"{{{attack}}}")),
        )  # fmt: skip
        return " ".join(words)
