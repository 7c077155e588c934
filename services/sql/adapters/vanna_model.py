"""Vanna's prompt interface over a chat model. Importing this module is expensive: do it when chosen.

Of Vanna only `VannaBase` is used, which gathers what a prompt is made of and reads replies. Its runner, training calls,
Flask app and plotting are not: nothing here can reach a database.
"""

from __future__ import annotations

import abc
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn, Protocol

from services.sql.prompting.drafts import PromptParts, Spent
from services.sql.prompting.messages import (
    RULES,
    example_pairs,
    note_lines,
    objection_texts,
    question_text,
    sendable,
    system_text,
)
from services.sql.prompting.model_faults import ModelFault

Message = dict[str, str]

_PLOTTING = ("plotly", "plotly.express", "plotly.graph_objects", "plotly.graph_objs", "plotly.io", "plotly.subplots")
_MAX_UNREADABLE_CHARACTERS = 2_000
_NOT_JSON = "That is not the JSON object that was asked for. Reply with it and nothing else."


class Chat(Protocol):
    """Whatever completes a conversation."""

    fault: ModelFault | None

    def complete(self, messages: Sequence[Message], *, ends_at: float, spent: Spent) -> str:
        """The text of the reply. Raises ModelFailed."""
        ...

    def close(self) -> None:
        """End every pause."""
        ...


class _Nothing(ModuleType):
    """Stands in for a plotting module that Vanna imports and that nothing here uses; images do without it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return object


def _import_base() -> type[Any]:
    """VannaBase, without its plotting: 0.3 s less of a cold start."""
    missing = [name for name in _PLOTTING if name not in sys.modules]
    for name in missing:
        module = _Nothing(name)
        module.__path__ = []
        # pandas asks whether plotly is there by its spec.
        module.__spec__ = importlib.util.spec_from_loader(name, loader=None)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its models are written for an older pydantic
            base: type[Any] = importlib.import_module("vanna.legacy.base").VannaBase
    finally:
        for name in missing:
            del sys.modules[name]
    return base


_VannaBase = _import_base()
# What a prompt takes. Everything else that VannaBase can do is refused below, whatever later versions add.
_USED = frozenset({"generate_sql"})


class NotUsed(Exception):
    """Vanna's runner, training and plotting are not used: what is taught is kept elsewhere, and nothing runs here."""


class VannaModel(_VannaBase):  # type: ignore[misc, valid-type]  # Vanna has no types
    """VannaBase with everything that one prompt needs handed in. Synchronous: run it in a thread."""

    def __init__(self, chat: Chat) -> None:
        super().__init__(config={"dialect": "PostgreSQL", "initial_prompt": RULES})
        self.chat = chat

    def write(self, question: str, parts: PromptParts) -> str:
        """The model's reply, hopefully as REPLY_SCHEMA has it. Raises ModelFailed."""
        reply: str = self.generate_sql(question, allow_llm_to_see_data=False, parts=parts)
        return reply

    def get_related_ddl(self, question: str, *, parts: PromptParts, **_: Any) -> list[str]:
        return list(parts.tables.all)

    def get_related_documentation(self, question: str, *, parts: PromptParts, **_: Any) -> list[str]:
        return note_lines(parts.guidance)

    def get_similar_question_sql(self, question: str, *, parts: PromptParts, **_: Any) -> list[dict[str, str]]:
        return example_pairs(parts.guidance)

    def get_sql_prompt(
        self,
        initial_prompt: str,
        question: str,
        question_sql_list: list[dict[str, str]],
        ddl_list: list[str],
        doc_list: list[str],
        *,
        parts: PromptParts,
        **_: Any,
    ) -> list[Message]:
        """Rules and tables, then what belongs to the question, then what was wrong: what changes least comes first."""
        prompt = [
            self.system_message(system_text(initial_prompt, ddl_list)),
            self.user_message(question_text(question, doc_list, question_sql_list)),
        ]
        for former, told in objection_texts(parts.guidance.objections):
            prompt += [self.assistant_message(former), self.user_message(told)]
        if parts.unreadable is not None:
            said = sendable(parts.unreadable[:_MAX_UNREADABLE_CHARACTERS])
            prompt += [self.assistant_message(said), self.user_message(_NOT_JSON)]
        return prompt

    def submit_prompt(self, prompt: list[Message], *, parts: PromptParts, **_: Any) -> str:
        content = self.chat.complete(prompt, ends_at=parts.ends_at, spent=parts.spent)
        # Vanna takes a reply with this word for a wish to look into the data. In JSON both ways of writing it are one.
        return content.replace("intermediate_sql", "intermediate\\u005fsql")

    def extract_sql(self, llm_response: str) -> str:
        """The reply as it is; `read_reply` takes it apart."""
        return llm_response

    def system_message(self, message: str) -> Message:
        return {"role": "system", "content": message}

    def user_message(self, message: str) -> Message:
        return {"role": "user", "content": message}

    def assistant_message(self, message: str) -> Message:
        return {"role": "assistant", "content": message}

    def log(self, message: str, title: str = "") -> None:
        """Nothing: Vanna would print questions and prompts to stdout."""


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise NotUsed


for _name, _member in vars(_VannaBase).items():
    if callable(_member) and not _name.startswith("_") and _name not in _USED and _name not in vars(VannaModel):
        setattr(VannaModel, _name, _refuse)
abc.update_abstractmethods(VannaModel)
