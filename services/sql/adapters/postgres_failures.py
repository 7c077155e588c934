"""What errors of the driver mean to callers."""

from __future__ import annotations

import re

import psycopg
from psycopg_pool import PoolTimeout

from services.sql.adapters.postgres_bounds import TooMuchReceived
from services.sql.errors import DatabaseUnavailable, QueryFailed, SqlError, StatementTimeout

MAX_TEXT_CHARACTERS = 300

# What is told of a failed statement: a fixed text for the class of its SQLSTATE. The driver's own text may hold data.
CLASS_MESSAGES = {
    "21": "a subquery gave more than one row where one value is needed",
    "22": "a value cannot be computed or converted",
    "25": "the statement would write, and only reading is allowed",
    "42": "the database does not accept the statement",
    "53": "the database has no resources left for the query",
    "54": "the query is too large for the database",
    "0A": "the database does not support the statement",
}
_CONNECTION_CLASSES = ("08", "57", "28", "3D")  # broken, shut down, login refused, no such database
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')


def failure_of(error: psycopg.Error) -> SqlError:
    """What the error of a run means; its text stays behind, because it may hold data."""
    sqlstate = error.sqlstate
    if isinstance(error, TooMuchReceived):
        return QueryFailed("the database's answer is larger than is taken; ask for less", sqlstate="54000")
    if sqlstate is None or isinstance(error, PoolTimeout):
        return DatabaseUnavailable()
    if sqlstate in {"57014", "55P03", "25P03"}:  # stopped by a time limit: statement, lock, idle
        return StatementTimeout()
    if sqlstate.startswith(_CONNECTION_CLASSES) or sqlstate == "53300":  # too many connections
        return DatabaseUnavailable()
    if sqlstate == "42501":
        return QueryFailed("the database role may not read this", sqlstate=sqlstate)
    message = CLASS_MESSAGES.get(sqlstate[:2], "the database could not run the statement")
    return QueryFailed(message, sqlstate=sqlstate)


def planning_failure_of(error: psycopg.Error, sql: str) -> SqlError:
    """What an error means before anything runs: the database speaks of the statement then, in words that help mend it.

    Its text is kept back all the same where it could be of something else: of a function that was evaluated for the
    plan, or of a value that does not stand in the statement.
    """
    failure = failure_of(error)
    sqlstate, text = error.sqlstate or "", error.diag.message_primary or ""
    if len(text) > len(sql) + MAX_TEXT_CHARACTERS:  # with a value that has been computed
        return failure
    speaks_of_statement = (
        sqlstate.startswith(("42", "0A"))
        or (sqlstate.startswith("22") and all(quoted in sql for quoted in _QUOTED.findall(text)))
    ) and error.diag.context is None
    if not isinstance(failure, QueryFailed) or sqlstate == "42501" or not text or not speaks_of_statement:
        return failure
    return QueryFailed(" ".join(text.split())[:MAX_TEXT_CHARACTERS], sqlstate=sqlstate)
