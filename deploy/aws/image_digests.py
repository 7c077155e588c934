"""Images by what they are, not by what they are called: tags move, digests do not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from deploy.aws.release_errors import ImageMissing, code_of, explained

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

_URI = re.compile(
    r"(?P<registry>(?P<account>\d{12})\.dkr\.ecr[a-z0-9.-]*)/(?P<repository>[a-z0-9][a-z0-9._/-]*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127})|@(?P<digest>sha256:[0-9a-f]{64}))"
)
_EXAMPLE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/diglot-rag:4f2c1e"


def checked_uri(uri: str) -> str:
    """An image of a registry on AWS, with a tag or digest. Raises ValueError."""
    if not _URI.fullmatch(uri):
        raise ValueError(f"{uri!r} must name an image in ECR by tag or digest, for example {_EXAMPLE}")
    return uri


def by_digest(client: ECRClient, uri: str) -> str:
    """The image's URI with its digest. Raises ImageMissing, AwsRefused."""
    parts = _URI.fullmatch(uri)
    assert parts is not None, "checked_uri comes first"
    wanted = {"imageDigest": parts["digest"]} if parts["digest"] else {"imageTag": parts["tag"]}
    try:
        found = client.describe_images(
            registryId=parts["account"],
            repositoryName=parts["repository"],
            imageIds=[wanted],  # type: ignore[list-item]
        )["imageDetails"]
    except ClientError as error:
        if code_of(error) in ("ImageNotFoundException", "RepositoryNotFoundException"):
            raise ImageMissing(f"image {uri} does not exist: build and push it first, or correct --images") from error
        raise explained(error, f"look up image {uri}") from error
    except BotoCoreError as error:
        raise explained(error, f"look up image {uri}") from error
    return f"{parts['registry']}/{parts['repository']}@{found[0]['imageDigest']}"
