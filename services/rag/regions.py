"""Where a vector index is to be made, as the name of an environment tells it."""

import re

_WITH_CLOUD = re.compile(r"(?P<region>[a-z0-9-]+?)-(?P<cloud>aws|gcp|azure)(?:-free)?")
_AWS_REGION = re.compile(r"[a-z]{2}-[a-z]+-[0-9]")
_GCP_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]+")


def read_region(environment: str) -> tuple[str, str]:
    """Cloud and region of `us-east-1`, or of a name of old like `us-east-1-aws` or `us-central1-gcp`.

    Raises: ValueError: it names no region.
    """
    match = _WITH_CLOUD.fullmatch(environment)
    if match:
        return match["cloud"], match["region"]
    if _AWS_REGION.fullmatch(environment):
        return "aws", environment
    if _GCP_REGION.fullmatch(environment):
        return "gcp", environment
    raise ValueError("names no region of a cloud; use one like us-east-1, us-central1-gcp or eastus2-azure")
