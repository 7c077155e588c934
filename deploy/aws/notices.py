"""Telling people, through SNS, that a release was taken back."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from deploy.aws.release_errors import explained

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

logger = logging.getLogger(__name__)

_MAX_SUBJECT_CHARACTERS = 100  # AWS's limit, ASCII without line breaks


def notify(client: SNSClient, topic_arn: str, subject: str, text: str) -> bool:
    """Publish to a topic; whether that worked. A failure is logged: the aliases matter more than the mail."""
    try:
        client.publish(
            TopicArn=topic_arn,
            Subject=subject.encode("ascii", "replace").decode()[:_MAX_SUBJECT_CHARACTERS],
            Message=text,
        )
    except (ClientError, BotoCoreError) as error:
        logger.error("nobody was told: %s", explained(error, f"publish to {topic_arn}"))
        return False
    return True
