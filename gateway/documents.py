"""GET /documents, GET and DELETE /documents/{id}, and the images of a document. Its bytes: document_content.py."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from pydantic import ConfigDict, Field

from gateway.answer_building import bare_id
from gateway.answers import Answer
from gateway.callees import Service, reply_of
from gateway.context import Asked
from gateway.page_notes import PageNote, page_notes_answer
from gateway.paging import PageSize, PageToken
from gateway.problems import ProblemRaised, problem_docs
from gateway.values import iso_time
from protos.ingest.v1 import document_pb2, ingest_service_pb2

router = APIRouter(prefix="/documents", tags=["documents"])

_DOCUMENT_ID = re.compile(r"[0-9a-f]{64}")
DOCUMENT_FIELDS = {"name": "document_id", "": "document_id"}
_IMAGE_KINDS = ("image/png", "image/jpeg")
_BINARY = {"type": "string", "format": "binary"}
# The bytes come from whoever made the file: a browser takes them for an image and for nothing else, and runs nothing.
_IMAGE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, max-age=3600",
}

DocumentId = Annotated[
    str,
    Path(
        description="Id of a document: the SHA-256 of its bytes. Anything else is not found.",
        json_schema_extra={"pattern": "^[0-9a-f]{64}$"},
    ),
]

ImageId = Annotated[
    str,
    Path(
        description="Id of an image: the SHA-256 of its bytes. Anything else is not found.",
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
    page_notes: list[PageNote] = Field(
        default_factory=list,
        description="Pages that could not be read; left out where there are none. 200 at most.",
    )
    version: int = Field(description="Which of the documents it is that had one of its names one after the other.")
    created_at: str
    updated_at: str


class DocumentList(Answer):
    """Documents, newest first."""

    documents: list[Document]
    next_page_token: str | None = Field(description="Token of the next page; null on the last.")


class Erased(Answer):
    """What was removed of a document, and whether all of it is gone."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "document_id": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "filenames": ["handbook.pdf"],
                    "chunk_count": 42,
                    "image_count": 3,
                    "file_count": 4,
                    "cache_entry_count": 42,
                    "erased_at": "2026-05-04T10:00:00Z",
                    "verified": True,
                }
            ]
        }
    )

    document_id: str
    filenames: list[str] = Field(description="The names that pointed to it, oldest first.")
    chunk_count: int = Field(description="Passages removed from the index, with their embeddings.")
    image_count: int
    file_count: int = Field(description="Other files removed: the original, and the records beside it.")
    cache_entry_count: int = Field(description="Cached embeddings of its passages removed.")
    erased_at: str
    verified: bool = Field(
        description="True when a second look found nothing of it in the index, among the files and in the registry. "
        "False: something was left, which nobody is shown any more and which goes on being removed."
    )


class Image(Answer):
    """An image that a document shows."""

    image_id: str
    page: int = Field(description="First page that shows it, counting from 1.")
    width: int = Field(description="In pixels.")
    height: int = Field(description="In pixels.")
    content_type: Literal["image/png", "image/jpeg"]
    file_size_bytes: int
    url: str = Field(description="Path of its bytes.", examples=["/documents/9f…/images/3a…"])


class ImageList(Answer):
    """Images, in the order of the pages."""

    images: list[Image]
    next_page_token: str | None = Field(description="Token of the next page; null on the last.")


@router.get(
    "",
    summary="List documents",
    response_model=DocumentList,
    response_model_exclude_unset=True,
    responses=problem_docs(400, 422, 503, 504),
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
    request = ingest_service_pb2.GetDocumentRequest(name=document_name(document_id))
    return _document(await reply_of(Service.INGEST, callees.ingest.GetDocument(request), DOCUMENT_FIELDS))


@router.delete(
    "/{document_id}",
    summary="Delete a document",
    response_model=Erased,
    responses=problem_docs(404, 422, 503, 504),
)
async def delete_document(document_id: DocumentId, callees: Asked) -> Erased:
    """Remove a document with all its names, passages, cached embeddings and files, and look whether it is gone."""
    request = ingest_service_pb2.DeleteDocumentRequest(name=document_name(document_id))
    receipt = await reply_of(Service.INGEST, callees.ingest.DeleteDocument(request), DOCUMENT_FIELDS)
    return Erased(
        document_id=bare_id(receipt.document),
        filenames=list(receipt.filenames),
        chunk_count=receipt.chunk_count,
        image_count=receipt.image_count,
        file_count=receipt.file_count,
        cache_entry_count=receipt.cache_entry_count,
        erased_at=iso_time(receipt.erase_time),
        verified=receipt.verified,
    )


@router.get(
    "/{document_id}/images",
    summary="List a document's images",
    response_model=ImageList,
    responses=problem_docs(400, 404, 422, 503, 504),
)
async def list_images(
    document_id: DocumentId, callees: Asked, page_size: PageSize = 50, page_token: PageToken = ""
) -> ImageList:
    """The images found in a PDF, in the order of its pages. There are none until they have been taken out of it."""
    request = ingest_service_pb2.ListImagesRequest(
        document=document_name(document_id), page_size=page_size, page_token=page_token
    )
    reply = await reply_of(
        Service.INGEST, callees.ingest.ListImages(request), {**DOCUMENT_FIELDS, "page_token": "page_token"}
    )
    return ImageList(
        images=[_image(document_id, image) for image in reply.images], next_page_token=reply.next_page_token or None
    )


@router.get(
    "/{document_id}/images/{image_id}",
    summary="One image",
    response_class=Response,
    responses={
        200: {"content": {kind: {"schema": _BINARY} for kind in _IMAGE_KINDS}, "description": "The image's bytes."},
        **problem_docs(404, 422, 503, 504),
    },
)
async def get_image(document_id: DocumentId, image_id: ImageId, callees: Asked) -> Response:
    """The bytes of an image."""
    document = document_name(document_id)
    if not _DOCUMENT_ID.fullmatch(image_id):
        raise ProblemRaised(404, "IMAGE_NOT_FOUND", "There is no such image.", field="image_id")
    request = ingest_service_pb2.ReadImageRequest(name=f"{document}/images/{image_id}")
    reply = await reply_of(Service.INGEST, callees.ingest.ReadImage(request), {"name": "image_id", "": "image_id"})
    kind = reply.image.content_type
    return Response(
        reply.content,
        media_type=kind if kind in _IMAGE_KINDS else "application/octet-stream",
        headers=_IMAGE_HEADERS,
    )


def _image(document_id: str, image: document_pb2.Image) -> Image:
    image_id = bare_id(image.name)
    return Image(
        image_id=image_id,
        page=image.page,
        width=image.width,
        height=image.height,
        content_type="image/jpeg" if image.content_type == "image/jpeg" else "image/png",
        file_size_bytes=image.size_bytes,
        url=f"/documents/{document_id}/images/{image_id}",
    )


def document_name(document_id: str) -> str:
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
        "version": max(1, document.version),
        "created_at": iso_time(document.create_time),
        "updated_at": iso_time(document.update_time),
    }
    if document.HasField("page_count"):
        fields["page_count"] = document.page_count
    if document.page_notes:
        fields["page_notes"] = page_notes_answer(document.page_notes)
    return Document(**fields)
