"""What a tenant's folder is called in a store of files."""

import hashlib
from urllib.parse import quote

_LONGEST_FOLDER_NAME = 255  # bytes, on every file system in use; quoting makes nine of a Chinese character


def tenant_folder(tenant: str) -> str:
    """One part of a path, whatever the tenant is called; different tenants have different folders."""
    # Tenants are anybody's words: quoted, they hold no separator, and a leading dot is quoted too.
    quoted = quote(tenant, safe="").replace(".", "%2E")
    if len(quoted) > _LONGEST_FOLDER_NAME:
        return f"={hashlib.sha256(quoted.encode()).hexdigest()}"  # quoted names hold no "="
    return quoted
