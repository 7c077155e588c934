"""Make the DynamoDB tables of the ingest and sql services, where they are not there yet.

The stack makes them on AWS (template.yaml); this is for any other place that speaks DynamoDB's API, and for an account
without the stack. It can be run again and again: tables that are there are looked at, and left as they are.

    python -m deploy.aws.create_tables --prefix diglot

Region, credentials and endpoint come from where every AWS tool looks for them: AWS_REGION, AWS_ACCESS_KEY_ID,
AWS_ENDPOINT_URL_DYNAMODB. Prints one line for each table; exit status 1 when one could not be made or does not fit.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deploy.aws.console import complain, say
from services.ingest.adapters import dynamodb_tables as ingest_tables
from services.sql.adapters import dynamodb_tables as sql_tables
from services.storage.dynamodb_tables import TTL_ATTRIBUTE, Table
from services.transport.addresses import check_table_prefix
from services.transport.aws_clients import aws_session
from services.transport.errors import AddressInvalid

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PROGRAM = "create_tables"
TABLES: tuple[Table, ...] = (*ingest_tables.TABLES, *sql_tables.TABLES)
_WAIT_SECONDS = 120.0
_LOOK_SECONDS = 0.5


class TableFault(Exception):
    """A table could not be made, or is there and of another make."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the tables; the exit status."""
    parser = argparse.ArgumentParser(
        prog=f"python -m deploy.aws.{PROGRAM}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--prefix", default="diglot", help="what the names of the tables begin with")
    prefix = parser.parse_args(arguments).prefix
    try:
        check_table_prefix(prefix)
    except AddressInvalid as error:
        complain(PROGRAM, f"--prefix {prefix!r}: {error}")
        return 1

    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

    try:
        create_tables(prefix)
    except TableFault as error:
        complain(PROGRAM, error)
    except NoRegionError:
        complain(PROGRAM, "no region is set; for example AWS_REGION=us-east-1")
    except NoCredentialsError:
        complain(PROGRAM, "no credentials are set; for example AWS_PROFILE=diglot, or AWS_ACCESS_KEY_ID and its secret")
    except ClientError as error:
        details = error.response.get("Error", {})
        complain(PROGRAM, f"DynamoDB refused: {details.get('Code')}: {details.get('Message')}")
    except (BotoCoreError, ValueError) as error:  # an unreachable or malformed endpoint
        complain(PROGRAM, f"DynamoDB cannot be reached: {error}")
    else:
        return 0
    return 1


def create_tables(prefix: str, *, wait_seconds: float = _WAIT_SECONDS) -> None:
    """Make what is missing and wait until it can be used. Raises: TableFault; botocore's errors."""
    from botocore.config import Config

    config = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 4, "mode": "standard"})
    database: DynamoDBClient = aws_session().client("dynamodb", config=config)
    try:
        made = {table.suffix: _make(database, table, prefix) for table in TABLES}
        for table in TABLES:
            description = _wait_for(database, table.name(prefix), give_up=time.monotonic() + wait_seconds)
            _check(table, prefix, description)
            forgets = _let_forget(database, table.name(prefix))
            what = "made" if made[table.suffix] else "was there"
            say(f"{table.name(prefix)}: {what}{', now forgets what is past its time' if forgets else ''}")
    finally:
        database.close()


def _make(database: DynamoDBClient, table: Table, prefix: str) -> bool:
    """Whether the table was made; not when it was there."""
    try:
        database.create_table(**table.definition(prefix))
    except database.exceptions.ResourceInUseException:
        return False
    return True


def _wait_for(database: DynamoDBClient, name: str, *, give_up: float) -> Any:
    while True:
        description = database.describe_table(TableName=name)["Table"]
        indexes = description.get("GlobalSecondaryIndexes", [])
        if {description["TableStatus"], *(index.get("IndexStatus", "ACTIVE") for index in indexes)} == {"ACTIVE"}:
            return description
        if time.monotonic() > give_up:
            raise TableFault(f"{name} is still {description['TableStatus']}; run this again later")
        time.sleep(_LOOK_SECONDS)


def _check(table: Table, prefix: str, description: Any) -> None:
    """Raises TableFault when a table that was there is not like the one wanted."""
    name, wanted = table.name(prefix), table.definition(prefix)
    if description["KeySchema"] != wanted["KeySchema"]:
        raise TableFault(f"{name} is there with another key; choose another --prefix, or remove that table")
    found = {index["IndexName"]: _shape(index) for index in description.get("GlobalSecondaryIndexes", [])}
    for index in wanted["GlobalSecondaryIndexes"]:
        if found.get(index["IndexName"]) != _shape(index):
            raise TableFault(
                f"{name} is there without the index {index['IndexName']!r} as it is needed; choose another --prefix,"
                " or remove that table"
            )


def _shape(index: Any) -> tuple[Any, ...]:
    projection = index["Projection"]
    return index["KeySchema"], projection["ProjectionType"], sorted(projection.get("NonKeyAttributes", []))


def _let_forget(database: DynamoDBClient, name: str) -> bool:
    """Let items past their time be removed; whether they were not before."""
    found = database.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
        if found.get("AttributeName") != TTL_ATTRIBUTE:
            raise TableFault(f"{name} forgets by {found.get('AttributeName')!r} instead of {TTL_ATTRIBUTE!r}")
        return False
    database.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
    )
    return True


if __name__ == "__main__":
    sys.exit(main())
