"""GET /documents, GET and DELETE /documents/{id}."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import Field

from gateway.answer_building import bare_id
from gateway.answers import Answer
from gateway.callees import Service, reply_of
from gateway.context import Asked
from gateway.paging import PageSize, PageToken
from gateway.problems import ProblemRaised, problem_docs
from gateway.values import iso_time
from protos.ingest.v1 import document_pb2, ingest_service_pb2

router = APIRouter(prefix="/documents", tags=["documents"])

_DOCUMENT_ID = re.compile(r"[0-9a-f]{64}")
_FIELDS = {"name": "document_id", "": "document_id"}

DocumentId = Annotated[
    str,
    Path(
        description="Id of a document: the SHA-256 of its bytes. Anything else is not found.",
        json_schema_extra={"pattern": "^[0-9a-f]{64}$"},
    ),
]


class Document(Answer):
    """A searchable document."""

    document_id: str
    filename: str = Field(description="The name it came under last.")
    filenames: list[str] = Field(description="All names that point to these bytes, oldest first.")
    title: str = Field(description="Title found in the content; empty when there is none.")
    content_type: str = Field(examples=["application/pdf"])
    file_size_bytes: int
    chunk_count: int
    total_tokens: int
    page_count: int = Field(default=0, description="Left out where the format has no pages.")
    created_at: str
    updated_at: str


class DocumentList(Answer):
    """Documents, newest first."""

    documents: list[Document]
    next_page_token: str | None = Field(description="Token of the next page; null on the last.")


@router.get(
    "",
    summary="List documents",
    response_model=DocumentList,
    response_model_exclude_unset=True,
    responses=problem_docs(404, 422, 503, 504),
)
async def list_documents(callees: Asked, page_size: PageSize = 50, page_token: PageToken = "") -> DocumentList:
    """The searchable documents, newest first."""
    request = ingest_service_pb2.ListDocumentsRequest(page_size=page_size, page_token=page_token)
    reply = await reply_of(Service.INGEST, callees.ingest.ListDocuments(request), {"": "page_token"})
    return DocumentList(
        documents=[_document(document) for document in reply.documents], next_page_token=reply.next_page_token or None
    )


@router.get(
    "/{document_id}",
    summary="One document",
    response_model=Document,
    response_model_exclude_unset=True,
    responses=problem_docs(404, 422, 503, 504),
)
async def get_document(document_id: DocumentId, callees: Asked) -> Document:
    """A document by its id."""
    request = ingest_service_pb2.GetDocumentRequest(name=_document_name(document_id))
    return _document(await reply_of(Service.INGEST, callees.ingest.GetDocument(request), _FIELDS))


@router.delete(
    "/{document_id}",
    status_code=204,
    summary="Delete a document",
    response_class=Response,
    responses=problem_docs(404, 422, 503, 504),
)
async def delete_document(document_id: DocumentId, callees: Asked) -> Response:
    """Remove a document with all its names, passages and files."""
    request = ingest_service_pb2.DeleteDocumentRequest(name=_document_name(document_id))
    await reply_of(Service.INGEST, callees.ingest.DeleteDocument(request), _FIELDS)
    return Response(status_code=204)


def _document_name(document_id: str) -> str:
    """An id that cannot be one of ours is as unknown as any other."""
    if not _DOCUMENT_ID.fullmatch(document_id):
        raise ProblemRaised(404, "DOCUMENT_NOT_FOUND", "There is no such document.", field="document_id")
    return f"documents/{document_id}"


def _document(document: document_pb2.Document) -> Document:
    fields: dict[str, Any] = {
        "document_id": bare_id(document.name),
        "filename": document.filenames[-1] if document.filenames else "",
        "filenames": list(document.filenames),
        "title": document.title,
        "content_type": document.content_type,
        "file_size_bytes": document.size_bytes,
        "chunk_count": document.chunk_count,
        "total_tokens": document.token_count,
        "created_at": iso_time(document.create_time),
        "updated_at": iso_time(document.update_time),
    }
    if document.HasField("page_count"):
        fields["page_count"] = document.page_count
    return Document(**fields)
