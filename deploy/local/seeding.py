"""Uploads the sample documents through the public REST API, each once in the life of a data folder."""

from collections.abc import Sequence
from pathlib import Path

from deploy.local import rest
from deploy.local.data_folder import DoneOnce
from deploy.local.errors import KeyNeeded, SeedingFailed


def seed(url: str, documents: Sequence[Path], done: DoneOnce) -> int:
    """Upload what has never been uploaded, and remember each success: a document that its user deletes stays deleted.

    Returns: how many were uploaded now.
    Raises:
        KeyNeeded: the API takes nothing without a key.
        SeedingFailed: the system refused a document; the ones before it are in.
    """
    uploaded = 0
    for document in documents:
        if document.name in done:
            continue
        reply = rest.upload(f"{url}/upload", document)
        if reply.status == 401:
            raise KeyNeeded
        if reply.status != 201:
            detail = reply.body.get("detail") if isinstance(reply.body, dict) else "no answer"
            raise SeedingFailed(
                f"the sample document {document.name} was not taken ({reply.status or 'silence'}): {detail}"
            )
        done.add(document.name)
        uploaded += 1
    return uploaded
