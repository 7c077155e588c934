"""The rpcs by which the service is taught: requests in, one domain call, replies out."""

from __future__ import annotations

import re
from typing import Any

from protos.sql.v1 import sql_service_pb2, sql_training_pb2
from services.sql.errors import TrainingInvalid, TrainingNameInvalid
from services.sql.page_tokens import read_training_token, write_training_token
from services.sql.service_messages import page_limit, timestamp_message
from services.sql.training import TRAINER_ROLE, Taught, Teacher, Training
from services.sql.training_content import read_ddl, read_documentation, read_example
from services.sql.training_models import TrainingContent, TrainingItem, TrainingKind, TrainingSource, TrainingState
from services.transport.identity import current_caller

_ITEM = sql_training_pb2.TrainingItem
_NAME = re.compile(r"training/([0-9a-f]{64})")


class TrainingServicer:
    """A part of the servicer; what the rpcs promise stands in the contract."""

    def __init__(self, training: Training) -> None:
        self._training = training

    async def AddTraining(
        self, request: sql_service_pb2.AddTrainingRequest, context: Any
    ) -> sql_service_pb2.AddTrainingResponse:
        taught, is_new = await self._training.add(_teacher(), _content(request))
        return sql_service_pb2.AddTrainingResponse(item=_message(taught), created=is_new)

    async def GetTraining(
        self, request: sql_service_pb2.GetTrainingRequest, context: Any
    ) -> sql_training_pb2.TrainingItem:
        return _message(await self._training.get(_teacher(), _id(request.name)))

    async def ListTraining(
        self, request: sql_service_pb2.ListTrainingRequest, context: Any
    ) -> sql_service_pb2.ListTrainingResponse:
        teacher, kind, state = _teacher(), _kind(request.kind), _state(request.state)
        after = read_training_token(request.page_token, teacher.tenant, kind, state)
        limit = page_limit(request.page_size)
        taught, page = await self._training.page(teacher, kind=kind, state=state, after=after, limit=limit)
        token = write_training_token(page.next_after, teacher.tenant, kind, state)
        return sql_service_pb2.ListTrainingResponse(items=map(_message, taught), next_page_token=token)

    async def ApproveTraining(
        self, request: sql_service_pb2.ApproveTrainingRequest, context: Any
    ) -> sql_service_pb2.ApproveTrainingResponse:
        taught = await self._training.approve(_teacher(), _id(request.name))
        return sql_service_pb2.ApproveTrainingResponse(item=_message(taught))

    async def DeleteTraining(
        self, request: sql_service_pb2.DeleteTrainingRequest, context: Any
    ) -> sql_service_pb2.DeleteTrainingResponse:
        await self._training.delete(_teacher(), _id(request.name))
        return sql_service_pb2.DeleteTrainingResponse()


def _teacher() -> Teacher:
    caller = current_caller()
    return Teacher(caller.tenant, caller.subject, may_decide=TRAINER_ROLE in caller.roles)


def _content(request: sql_service_pb2.AddTrainingRequest) -> TrainingContent:
    match request.WhichOneof("content"):
        case "ddl":
            return read_ddl(request.ddl)
        case "documentation":
            return read_documentation(request.documentation)
        case "example":
            return read_example(request.example.question, request.example.sql)
        case _:
            raise TrainingInvalid("give one of ddl, documentation, or question with sql", field="content")


def _id(name: str) -> str:
    match = _NAME.fullmatch(name)
    if match is None:
        raise TrainingNameInvalid
    return match[1]


def _kind(number: int) -> TrainingKind | None:
    """The kind asked for; None for all, and for a number that this version gives no name."""
    names = {int(value): name for name, value in _ITEM.Kind.items()}
    return TrainingKind.__members__.get(names.get(number, ""))


def _state(number: int) -> TrainingState | None:
    names = {int(value): name for name, value in _ITEM.State.items()}
    return TrainingState.__members__.get(names.get(number, ""))


def _message(taught: Taught) -> sql_training_pb2.TrainingItem:
    item: TrainingItem = taught.item
    message = _ITEM(
        name=f"training/{item.id}",
        state=_ITEM.State.Value(item.state),
        source=_ITEM.Source.Value(item.source),
        query=f"queries/{item.query_id}" if item.source is TrainingSource.APPROVED_QUERY else "",
        author=item.author,
        create_time=timestamp_message(item.create_time),
        decided_by=item.decided_by,
        decide_time=timestamp_message(item.decide_time),
        usable=not taught.unusable_reason,
        unusable_reason=taught.unusable_reason,
    )
    match item.content.kind:
        case TrainingKind.DDL:
            message.ddl = item.content.text
        case TrainingKind.DOCUMENTATION:
            message.documentation = item.content.text
        case TrainingKind.EXAMPLE:
            example = sql_training_pb2.TrainingExample(question=item.content.text, sql=item.content.sql)
            message.example.CopyFrom(example)
    return message
