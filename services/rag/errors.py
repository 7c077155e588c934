"""What can go wrong in rag.

RagError
├── RequestInvalid              the caller's fault; `field` names what to change
│   ├── QuestionInvalid         blank, too long, holds control characters, or too many parts
│   ├── TopKInvalid             negative number of chunks
│   ├── NameInvalid             no document name, no file name, or too many names
│   ├── ChunkInvalid            a chunk that cannot be stored as it is
│   ├── FactsInvalid            what is known of a document is longer or more than is kept
│   ├── FiltersInvalid          what a search is to be narrowed by cannot be
│   └── TextsInvalid            texts that cannot be embedded as they are
├── IndexRefused                the index that the settings name cannot be used; ends the start
├── EmbeddingModelMismatch      the index was built with another model or dimension
├── TextTooLong                 a text holds more tokens than the model reads
├── RerankerUnavailable         what reorders passages is away; they stay as they are, no caller hears of it
├── ModelRefused                a provider of models turns this service down; its operator has to act
└── Unavailable                 a part that rag needs cannot be reached; trying again may help
    ├── ChunkStoreUnavailable
    ├── EmbedderUnavailable
    └── AnswerModelUnavailable
"""


class RagError(Exception):
    """Anything rag refuses or cannot do; the text is written for the caller."""


class RequestInvalid(RagError):
    """The request cannot be carried out as it is."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class QuestionInvalid(RequestInvalid):
    """A question is blank, too long, holds control characters, or has too many parts."""


class TopKInvalid(RequestInvalid):
    """The number of chunks asked for is negative."""


class NameInvalid(RequestInvalid):
    """A name is no document name or no file name, or there are too many names."""


class ChunkInvalid(RequestInvalid):
    """A chunk is blank, too long for the model, numbered wrongly, or one of too many."""


class FactsInvalid(RequestInvalid):
    """A document's title, kind or tags are longer or more than is kept."""


class FiltersInvalid(RequestInvalid):
    """What a search is to be narrowed by cannot be: too many values, a blank one, or times in the wrong order."""


class TextsInvalid(RequestInvalid):
    """There are no texts or too many, or one is blank or too long for the model."""


class IndexRefused(RagError):
    """The index of chunks that the settings name cannot be used; never reaches a caller, the service does not start."""

    for_operators = True  # a log of a failed start tells the text


class EmbeddingModelMismatch(RagError):
    """The index was built with another embedding model or another dimension."""

    def __init__(self, *, recorded: str, current: str) -> None:
        super().__init__(
            f"The index was built with the embedding model {recorded}, but this service embeds with {current}. "
            "Set the model the index was built with, or index the documents again into an empty index."
        )
        self.metadata = {"recorded_model": recorded, "current_model": current}


class TextTooLong(RagError):
    """A text holds more tokens than the model reads; texts are never cut silently."""

    def __init__(self, *, position: int, token_count: int, max_tokens: int) -> None:
        super().__init__(f"Text {position} holds {token_count} tokens; the model reads {max_tokens} at most.")
        self.position = position
        self.token_count = token_count
        self.max_tokens = max_tokens


class ModelRefused(RagError):
    """A provider of models turns this service down: its key, its account, a model's name or a setting is wrong.

    Trying again does not help. The text is for whoever runs the service; it holds nothing secret.
    """


class RerankerUnavailable(RagError):
    """No scores for these passages, for whatever reason, which the text says to operators. Never reaches a caller."""


class Unavailable(RagError):
    """A part that rag needs cannot be reached; trying again may help."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        """What the part itself asks for; None when it does not say."""


class ChunkStoreUnavailable(Unavailable):
    """The index of chunks cannot be reached, or is too busy to take the call."""


class EmbedderUnavailable(Unavailable):
    """The embedding model cannot be loaded or reached."""


class AnswerModelUnavailable(Unavailable):
    """The model that writes answers cannot be reached, is too busy, or broke off in the middle."""
