"""What the SQL side is taught: structure, words about the data, and questions with their queries."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from gateway.answer_building import bare_id
from gateway.answers import Answer
from gateway.callees import Service, reply_of
from gateway.context import Asked
from gateway.json_route import JsonRoute
from gateway.paging import PageSize, PageToken
from gateway.problems import ProblemRaised, problem_docs
from gateway.questions import Body, NoFields, QuestionText, valid_text, without_default
from gateway.values import iso_time
from protos.sql.v1 import sql_service_pb2, sql_training_pb2

router = APIRouter(route_class=JsonRoute, prefix="/sql/training", tags=["sql"])

MAX_DDL_CHARACTERS = 20_000
MAX_DOCUMENTATION_CHARACTERS = 8_000
MAX_SQL_CHARACTERS = 20_000

_ITEM = sql_training_pb2.TrainingItem
_ID = re.compile(r"[0-9a-f]{64}")
_FIELDS = {"name": "training_id", "": "training_id"}
# At least one character that is no white space, and no control characters but tab and line ends.
_PATTERN = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"

Kind = Literal["DDL", "DOCUMENTATION", "EXAMPLE"]
State = Literal["PENDING", "APPROVED"]
TrainingId = Annotated[
    str,
    Path(
        description="Id of an item, as adding or listing gave it. Anything else is not found.",
        json_schema_extra={"pattern": "^[0-9a-f]{64}$"},
    ),
]


def _filled(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("text_empty", "The text is empty.")
    return valid_text(text)


def _text(most: int, description: str) -> Any:
    return Annotated[
        str,
        Field(min_length=1, max_length=most, description=description, json_schema_extra=without_default),
        AfterValidator(_filled),
        WithJsonSchema({"type": "string", "minLength": 1, "maxLength": most, "pattern": _PATTERN}),
    ]


class Teach(Body):
    """One thing to teach: `ddl`, or `documentation`, or `question` with `sql`."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["ddl"]}, {"required": ["documentation"]}, {"required": ["question", "sql"]}],
            "dependentRequired": {"question": ["sql"], "sql": ["question"]},
            "examples": [
                {"documentation": "Revenue is the total_amount of delivered orders."},
                {"question": "How many customers do we have?", "sql": "SELECT count(*) FROM customers"},
            ],
        }
    )

    ddl: _text(MAX_DDL_CHARACTERS, "CREATE TABLE, CREATE VIEW, COMMENT ON, ALTER TABLE … ADD CONSTRAINT.") = ""  # type: ignore[valid-type]
    documentation: _text(MAX_DOCUMENTATION_CHARACTERS, "Words about the data.") = ""  # type: ignore[valid-type]
    question: QuestionText = Field(default="", json_schema_extra=without_default)
    sql: _text(MAX_SQL_CHARACTERS, "The query that answers the question; checked like a generated one.") = ""  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _teaches_one_thing(self) -> Teach:
        if bool(self.question) != bool(self.sql):
            missing = "sql" if self.question else "question"
            raise PydanticCustomError("missing", "A question is taught with its sql.", {"field": missing})
        given = [name for name in ("ddl", "documentation", "question") if getattr(self, name)]
        if not given:
            raise PydanticCustomError(
                "missing", "Give one of ddl, documentation, or question with sql.", {"field": "documentation"}
            )
        if len(given) > 1:
            raise PydanticCustomError(
                "too_much", "Give one of ddl, documentation, or question with sql.", {"field": given[1]}
            )
        return self


class TrainingAnswer(Answer):
    """One thing taught, and where it comes from."""

    training_id: str
    kind: Kind
    ddl: str = Field(default="", description="This, `documentation`, or `question` and `sql`, by its kind.")
    documentation: str = ""
    question: str = ""
    sql: str = ""
    state: State = Field(description="Only what is APPROVED is used.")
    source: Literal["API", "APPROVED_QUERY"] = Field(
        description="Given by somebody, or learned from an approved query."
    )
    query_id: str = Field(default="", description="The query it was learned from, else left out.")
    author: str
    created_at: str
    decided_by: str = Field(default="", description="Who approved it; left out before.")
    decided_at: str = ""
    usable: bool = Field(description="False where the query is refused under the schema of now.")
    unusable_reason: str = ""


class TrainingList(Answer):
    """What is taught, newest first."""

    training: list[TrainingAnswer]
    next_page_token: str | None = Field(description="Token of the next page; null on the last.")


@router.post(
    "",
    status_code=201,
    summary="Teach structure, words, or a question with its query",
    response_model=TrainingAnswer,
    response_model_exclude_unset=True,
    responses={
        200: {"model": TrainingAnswer, "description": "It was there already."},
        **problem_docs(400, 409, 413, 415, 422, 429, 503, 504),
    },
)
async def teach(body: Teach, response: Response, callees: Asked) -> TrainingAnswer:
    """Add an item. It is used once it is APPROVED: see the field `state`."""
    request = sql_service_pb2.AddTrainingRequest()
    if body.ddl:
        request.ddl = body.ddl
    elif body.documentation:
        request.documentation = body.documentation
    else:
        request.example.CopyFrom(sql_training_pb2.TrainingExample(question=body.question, sql=body.sql))
    reply = await reply_of(Service.SQL, callees.sql.AddTraining(request))
    response.status_code = 201 if reply.created else 200
    return _answer(reply.item)


@router.get(
    "",
    summary="What is taught",
    response_model=TrainingList,
    response_model_exclude_unset=True,
    responses=problem_docs(400, 422, 503, 504),
)
async def list_training(
    callees: Asked,
    kind: Annotated[Kind | None, Query(description="Only items of this kind.")] = None,
    state: Annotated[State | None, Query(description="Only items in this state.")] = None,
    page_size: PageSize = 50,
    page_token: PageToken = "",
) -> TrainingList:
    """The tenant's items, newest first."""
    request = sql_service_pb2.ListTrainingRequest(
        page_size=page_size,
        page_token=page_token,
        kind=_ITEM.Kind.Value(kind or "KIND_UNSPECIFIED"),
        state=_ITEM.State.Value(state or "STATE_UNSPECIFIED"),
    )
    reply = await reply_of(Service.SQL, callees.sql.ListTraining(request), {"": "page_token"})
    return TrainingList(training=[_answer(item) for item in reply.items], next_page_token=reply.next_page_token or None)


@router.get(
    "/{training_id}",
    summary="One thing taught",
    response_model=TrainingAnswer,
    response_model_exclude_unset=True,
    responses=problem_docs(404, 422, 503, 504),
)
async def get_training(training_id: TrainingId, callees: Asked) -> TrainingAnswer:
    """An item by its id."""
    request = sql_service_pb2.GetTrainingRequest(name=_name(training_id))
    return _answer(await reply_of(Service.SQL, callees.sql.GetTraining(request), _FIELDS))


@router.post(
    "/{training_id}/approve",
    summary="Let it be used",
    response_model=TrainingAnswer,
    response_model_exclude_unset=True,
    responses=problem_docs(400, 403, 404, 409, 413, 415, 422, 503, 504),
)
async def approve_training(training_id: TrainingId, callees: Asked, body: NoFields | None = None) -> TrainingAnswer:
    """Approve an item; it takes the role `sql_trainer`. Approving again changes nothing."""
    request = sql_service_pb2.ApproveTrainingRequest(name=_name(training_id))
    return _answer((await reply_of(Service.SQL, callees.sql.ApproveTraining(request), _FIELDS)).item)


@router.delete(
    "/{training_id}",
    status_code=204,
    summary="Forget it",
    response_class=Response,
    responses=problem_docs(403, 404, 422, 503, 504),
)
async def delete_training(training_id: TrainingId, callees: Asked) -> Response:
    """Remove an item; it takes the role `sql_trainer`, unless it is the caller's own and PENDING."""
    request = sql_service_pb2.DeleteTrainingRequest(name=_name(training_id))
    await reply_of(Service.SQL, callees.sql.DeleteTraining(request), _FIELDS)
    return Response(status_code=204)


def _name(training_id: str) -> str:
    """An id that cannot be one of ours is as unknown as any other."""
    if not _ID.fullmatch(training_id):
        raise ProblemRaised(404, "TRAINING_NOT_FOUND", "There is no such training.", field="training_id")
    return f"training/{training_id}"


def _answer(item: sql_training_pb2.TrainingItem) -> TrainingAnswer:
    content: dict[str, Any] = {"kind": "EXAMPLE", "question": item.example.question, "sql": item.example.sql}
    if item.WhichOneof("content") == "ddl":
        content = {"kind": "DDL", "ddl": item.ddl}
    elif item.WhichOneof("content") == "documentation":
        content = {"kind": "DOCUMENTATION", "documentation": item.documentation}
    if item.query:
        content["query_id"] = bare_id(item.query)
    if item.HasField("decide_time"):
        content |= {"decided_by": item.decided_by, "decided_at": iso_time(item.decide_time)}
    if item.unusable_reason:
        content["unusable_reason"] = item.unusable_reason
    return TrainingAnswer(
        training_id=bare_id(item.name),
        state=_ITEM.State.Name(item.state),
        source=_ITEM.Source.Name(item.source),
        author=item.author,
        created_at=iso_time(item.create_time),
        usable=item.usable,
        **content,
    )
