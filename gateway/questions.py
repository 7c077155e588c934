"""The question in a request body: `query`, or `question`, which means the same."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

MAX_QUESTION_CHARACTERS = 4_000
DEFAULT_TOP_K = 3
MAX_TOP_K = 50

_ALLOWED_CONTROLS = frozenset("\t\n\r")
# No control characters but tab and line ends, and at least one character that is no white space.
SHOWN_TEXT_PATTERN = (
    r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
)


def _valid_question(text: str) -> str:
    """The question without surrounding white space."""
    question = text.strip()
    if not question:
        raise PydanticCustomError("question_empty", "The question is empty.")
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise PydanticCustomError(
            "question_too_long",
            "The question has {length} characters; at most {limit} are allowed.",
            {"length": len(question), "limit": MAX_QUESTION_CHARACTERS},
        )
    return valid_text(question)


def valid_text(text: str) -> str:
    """The text itself; control characters and halves of surrogate pairs are refused."""
    for character in text:
        category = unicodedata.category(character)
        if category == "Cs" or (category == "Cc" and character not in _ALLOWED_CONTROLS):
            raise PydanticCustomError("text_invalid", "The text holds control characters or broken Unicode.")
    return text


def _whole(value: object) -> object:
    """JSON knows one kind of number: 3.0 is the whole number 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def without_default(schema: dict[str, Any]) -> None:
    """For a field that may be left out, but has no value that says so."""
    schema.pop("default", None)


QuestionText = Annotated[
    str,
    AfterValidator(_valid_question),
    # No maxLength: the limit holds for the trimmed text, and JSON Schema knows no trimming.
    WithJsonSchema({"type": "string", "minLength": 1, "pattern": SHOWN_TEXT_PATTERN}),
]


class Body(BaseModel):
    """A JSON body. Unknown fields are refused: a misspelt one would be ignored without a word."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NoFields(Body):
    """What a call without parameters may be sent, besides nothing at all: `{}`."""


class QuestionBody(Body):
    """A body with a question under one of its two names."""

    query: QuestionText = Field(
        default="",
        description="The question in plain words, 1 to 4,000 characters after trimming.",
        json_schema_extra=without_default,
    )
    question: QuestionText = Field(
        default="", description="The same as `query`; give one of the two.", json_schema_extra=without_default
    )

    @model_validator(mode="after")
    def _has_one_question(self) -> QuestionBody:
        if not self.query and not self.question:
            raise PydanticCustomError("missing", "The question is missing.", {"field": "query"})
        if self.query and self.question:
            raise PydanticCustomError(
                "question_twice", "`query` and `question` mean the same; give one of them.", {"field": "question"}
            )
        return self

    @staticmethod
    def example(body: dict[str, Any]) -> dict[str, Any]:
        """What the JSON schema of a body with a question says besides its fields."""
        return {"oneOf": [{"required": ["query"]}, {"required": ["question"]}], "examples": [body]}

    @property
    def text(self) -> str:
        """The question, trimmed."""
        return self.query or self.question


# The bounds stand before the validator: after it they would be checked, but missing in the JSON schema.
TopK = Annotated[
    int,
    Field(ge=1, le=MAX_TOP_K, description="Number of passages to read for an answer."),
    BeforeValidator(_whole),
]
