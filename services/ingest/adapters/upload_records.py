"""What is remembered of an upload, as JSON beside its bytes."""

import json
from dataclasses import asdict
from datetime import datetime

from services.ingest.uploads import FileUpload


def upload_to_bytes(upload: FileUpload) -> bytes:
    return json.dumps({**asdict(upload), "expire_time": upload.expire_time.isoformat()}).encode()


def upload_from_bytes(data: bytes | None) -> FileUpload | None:
    """The upload; None when there is none, or it cannot be read."""
    try:
        record = json.loads(data or b"")
        told = {"expire_time": datetime.fromisoformat(record["expire_time"]), "tags": tuple(record["tags"])}
        return FileUpload(**{**record, **told})
    except (ValueError, KeyError, TypeError):
        return None
