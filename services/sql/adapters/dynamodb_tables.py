"""The table of queries, their audit log and known schemas in DynamoDB. The template of the stack makes the same one."""

from services.storage.dynamodb_tables import Index, Table

QUERIES = Table(
    "queries",
    (
        # Queries of an owner by age, all of them and those of one state.
        Index("newest", "owner_key", "newest"),
        Index("newest-by-state", "owner_state", "newest"),
        # Queries of a tenant that time alone moves on, by when it does.
        Index("unsettled", "unsettled_tenant", "settle_at"),
    ),
)
TABLES = (QUERIES,)
