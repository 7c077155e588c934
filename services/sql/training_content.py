"""What callers teach, read and checked for what can be said without a database.

Of each text the line ends are made one kind and outer white space is taken away. Signs that nobody sees are left out of
words, so that a trainer reads what a model is told; where they may stand within quotes, they are refused.
"""

from __future__ import annotations

from services.sql.errors import QuestionInvalid, TrainingInvalid
from services.sql.query_guard import MAX_SQL_CHARACTERS
from services.sql.questions import holds_control_characters, read_question
from services.sql.shown_text import holds_unseen, without_unseen
from services.sql.training_models import TrainingContent, TrainingKind

MAX_DDL_CHARACTERS = 20_000
MAX_DOCUMENTATION_CHARACTERS = 8_000


def read_ddl(text: str) -> TrainingContent:
    """DDL, trimmed. Raises TrainingInvalid."""
    ddl = _read(text, "ddl", MAX_DDL_CHARACTERS)
    if holds_unseen(ddl):  # within quotes too: a name that looks like another
        raise TrainingInvalid(
            "ddl must not hold characters that take no room or change how a text is shown", field="ddl"
        )
    return TrainingContent(TrainingKind.DDL, ddl)


def read_documentation(text: str) -> TrainingContent:
    """Words about the data, trimmed. Raises TrainingInvalid."""
    words = _read(without_unseen(text), "documentation", MAX_DOCUMENTATION_CHARACTERS)
    return TrainingContent(TrainingKind.DOCUMENTATION, words)


def read_example(question: str, sql: str) -> TrainingContent:
    """A question with its query, trimmed; whether it may run is the guard's to say. Raises TrainingInvalid."""
    try:
        asked = read_question(question)
    except QuestionInvalid as error:
        raise TrainingInvalid(str(error), field="question") from None
    query = _read(sql, "sql", MAX_SQL_CHARACTERS).rstrip("; \t\n") or sql.strip()
    return TrainingContent(TrainingKind.EXAMPLE, asked, query)


def _read(text: str, field: str, most: int) -> str:
    trimmed = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not trimmed:
        raise TrainingInvalid(f"{field} must not be blank", field=field)
    if len(trimmed) > most:
        raise TrainingInvalid(f"{field} must not be longer than {most:,} characters", field=field)
    if holds_control_characters(trimmed):
        raise TrainingInvalid(f"{field} must not hold control characters", field=field)
    return trimmed
