"""What can go wrong in the sql service, as its callers may see it.

    SqlError
    ├── InvalidRequest           a field of the request is wrong; `field` names it
    │   ├── QuestionInvalid      blank, too long, or with control characters
    │   ├── RequestIdInvalid     set and no UUID
    │   ├── QueryNameInvalid     not `queries/{query}`
    │   ├── PageTokenInvalid     not from this list with this filter
    │   ├── TimeInvalid          no time, or an end before its start
    │   ├── TrainingInvalid      what is to be taught is blank, too long, or not what it says it is
    │   ├── TrainingNameInvalid  not `training/{item}`
    │   └── SqlRefused           the guard refuses the text; `metadata["refusal"]` is its code
    ├── QueryNotFound            unknown, or another's: the two are not told apart
    ├── TrainingNotFound         unknown, or another tenant's
    ├── TrainingFull             the tenant has as much training as it may have
    ├── TrainerRoleMissing       the caller may not decide what is taught
    ├── SqlHashMismatch          the text is not the one the caller has read
    ├── QueryStateConflict       the query stands elsewhere; `metadata["state"]` says where
    ├── QueryFailed              the database refused the statement; `metadata["sqlstate"]` says why
    ├── QueryTooCostly           the plan costs more than the ceiling; `metadata` has both
    ├── StatementTimeout         the run took longer than allowed
    ├── DatabaseUnavailable      the user's database cannot be reached
    │   └── DatabaseRefused      it can, and must not be asked: the role may write, or it is our own store
    ├── QueryStoreUnavailable    our own store cannot be reached
    ├── ModelUnavailable         the language model gives no reply; never reaches a caller
    ├── KnowledgeUnavailable     rag, or the index of training, cannot be reached; never reaches a caller
    ├── TextTooLong              a text is longer than the embedding model reads; never reaches a caller
    └── ConfigurationRefused     the service must not start like this; never reaches a caller

str(error) is shown to users: it never holds rows, addresses, or a driver's own text.
"""

from __future__ import annotations

from collections.abc import Mapping


class SqlError(Exception):
    """Base of everything above."""


class InvalidRequest(SqlError):
    """A field of the request is wrong."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class QuestionInvalid(InvalidRequest):
    """The question, or a part of it, cannot be read as one."""


class RequestIdInvalid(InvalidRequest):
    """`request_id` is no UUID."""

    def __init__(self) -> None:
        super().__init__("request_id must be empty or a UUID", field="request_id")


class QueryNameInvalid(InvalidRequest):
    """A field is no resource name of a query."""

    def __init__(self, field: str = "name") -> None:
        super().__init__(f"{field} must look like queries/{{query}}", field=field)


class PageTokenInvalid(InvalidRequest):
    """`page_token` was not made by this list with this filter."""

    def __init__(self) -> None:
        super().__init__("page_token is not from this list with the same filter", field="page_token")


class TrainingInvalid(InvalidRequest):
    """What is to be taught cannot be taken."""


class TrainingNameInvalid(InvalidRequest):
    """`name` is no resource name of something taught."""

    def __init__(self) -> None:
        super().__init__("name must look like training/{item}", field="name")


class TimeInvalid(InvalidRequest):
    """A time of a filter is none, or its end lies before its start."""


class SqlRefused(InvalidRequest):
    """The guard refuses the text."""

    def __init__(self, message: str, *, refusal: str) -> None:
        super().__init__(message, field="sql")
        self.metadata: Mapping[str, str] = {"refusal": refusal}


class QueryNotFound(SqlError):
    """There is no such query for this caller."""

    def __init__(self) -> None:
        super().__init__("there is no such query")


class TrainingNotFound(SqlError):
    """There is no such item for this caller."""

    def __init__(self) -> None:
        super().__init__("there is no such training")


class TrainingFull(SqlError):
    """The tenant has as many items as it may have."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"there are {most:,} items of training, which is as many as are kept for you (SQL_TRAINING_MAX_ITEMS);"
            " delete some first, beginning with those that are PENDING"
        )


class TrainingContradicts(SqlError):
    """The tenant has an example of the same question with another query, or another definition of the same words."""

    def __init__(self, item_id: str, *, what: str) -> None:
        super().__init__(f"there is {what}; delete that first, or say it differently")
        self.metadata: Mapping[str, str] = {"training": f"training/{item_id}"}


class TrainerRoleMissing(SqlError):
    """The caller may not decide what is taught."""

    def __init__(self) -> None:
        super().__init__(
            "approving or deleting training takes the role sql_trainer; ask somebody who has it, or have it given to"
            " your API key or token"
        )


class SqlHashMismatch(SqlError):
    """The decision is about another text."""

    def __init__(self) -> None:
        super().__init__("sql_hash is not that of the query's text; read the query again")


_STATES_IN_WORDS = {
    "EXECUTED": "the query has run already, and runs once only",
    "EXECUTING": "the query is running, and runs once only",
    "FAILED": "the query has failed, and runs once only",
    "EXPIRED": "the query has expired; ask the question again",
    "REJECTED": "the query was rejected",
}


class QueryStateConflict(SqlError):
    """The query's state does not allow this."""

    def __init__(self, state: str) -> None:
        super().__init__(_STATES_IN_WORDS.get(state, f"the query is {state.lower()}"))
        self.metadata: Mapping[str, str] = {"state": state}


class QueryFailed(SqlError):
    """The database refused the statement, or it failed on the data."""

    def __init__(self, message: str, *, sqlstate: str) -> None:
        super().__init__(message)
        self.metadata: Mapping[str, str] = {"sqlstate": sqlstate}

    @property
    def may_tell_of_change(self) -> bool:
        """Whether a table, column, schema or function is not there or may not be read: it was when it was looked at."""
        return self.metadata["sqlstate"] in {"42P01", "42703", "3F000", "42883", "42704", "42501"}


class QueryTooCostly(SqlError):
    """The planner expects more work than one question may cause, or more memory; then there is no cost to tell."""

    def __init__(self, *, cost: float | None = None, ceiling: float | None = None) -> None:
        super().__init__(
            "the query would take more work than is allowed (SQL_MAX_PLAN_COST); ask for less, or add a condition"
        )
        told = {"plan_cost": cost, "max_plan_cost": ceiling}
        self.metadata: Mapping[str, str] = {name: f"{value:.0f}" for name, value in told.items() if value is not None}


class StatementTimeout(SqlError):
    """The run was stopped at its time limit."""

    def __init__(self) -> None:
        super().__init__("the query took longer than is allowed (SQL_STATEMENT_SECONDS) and was stopped")


class DatabaseUnavailable(SqlError):
    """The user's database does not answer, refuses the login, or has no connection to spare."""

    def __init__(self) -> None:
        super().__init__("the database cannot be reached")


class DatabaseRefused(DatabaseUnavailable):
    """Asking the user's database is not safe as it is set up. What is wrong is told in the log, to operators."""

    def __init__(self) -> None:
        SqlError.__init__(self, "the database is not asked until its set-up is safe; the service's log tells more")


class QueryStoreUnavailable(SqlError):
    """Our own store does not answer or has no connection to spare."""

    def __init__(self) -> None:
        super().__init__("the query store cannot be reached")


class ModelUnavailable(SqlError):
    """The language model cannot be reached, refuses our key, or gives nothing in time."""


class KnowledgeUnavailable(SqlError):
    """The rag service, its model, or the index of training's vectors cannot be reached."""


class TextTooLong(SqlError):
    """A text is longer than the embedding model reads."""


class ConfigurationRefused(SqlError):
    """The service is configured so that it must not start."""

    for_operators = True  # a log of a failed start tells the text
