"""What can go wrong with a language model, in words for those who ask and for those who run the service."""

from __future__ import annotations

from enum import StrEnum

from services.sql.errors import ModelUnavailable


class ModelFault(StrEnum):
    """Why there is no reply. The value is for logs and figures."""

    AWAY = "not reachable"
    SLOW = "no reply in time"
    BUSY = "too many requests"
    NO_QUOTA = "no quota left"
    KEY_REFUSED = "key refused"
    UNKNOWN_MODEL = "model unknown to its provider"
    TOO_LONG = "prompt too long"
    FILTERED = "question filtered by the provider"
    REQUEST_REFUSED = "request refused"
    UNREADABLE = "reply unreadable"
    NOT_LOADED = "packages not loaded"

    @property
    def told(self) -> str:
        """The beginning of a sentence for those who ask."""
        return _TOLD[self]


_TOLD = {
    ModelFault.AWAY: "The language model is not reachable",
    ModelFault.SLOW: "The language model gave no reply in time",
    ModelFault.BUSY: "The language model takes no more requests for now",
    ModelFault.NO_QUOTA: "The account at the language model's provider has no quota left",
    ModelFault.KEY_REFUSED: "The language model's provider does not accept this service's key",
    ModelFault.UNKNOWN_MODEL: "The language model's provider does not know the model",
    ModelFault.TOO_LONG: "The question with its tables is too long for the language model",
    ModelFault.FILTERED: "The language model's provider does not let this question through",
    ModelFault.REQUEST_REFUSED: "The language model's provider does not take the request",
    ModelFault.UNREADABLE: "The language model's reply cannot be read",
    ModelFault.NOT_LOADED: "What speaks to the language model cannot be loaded",
}

# These stay until somebody changes the set-up: a word to the operator is worth more than another try.
LASTING = frozenset({ModelFault.KEY_REFUSED, ModelFault.UNKNOWN_MODEL, ModelFault.NO_QUOTA, ModelFault.REQUEST_REFUSED})


class ModelFailed(ModelUnavailable):
    """No reply, and why."""

    def __init__(self, fault: ModelFault) -> None:
        super().__init__(fault.told)
        self.fault = fault
