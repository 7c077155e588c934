"""The tables of documents and of jobs in DynamoDB. The template of the stack makes the same ones."""

from services.storage.dynamodb_tables import Index, Table

DOCUMENTS = Table(
    "documents",
    (
        # READY documents of a tenant by age.
        Index("newest", "ready_tenant", "newest"),
        # Documents of any tenant that are to be deleted or renamed in the index, longest waiting first.
        Index("unsettled", "unsettled", "unsettled_since"),
        # Who holds a file, by the SHA-256 of its bytes. Read by operators alone.
        Index("file-hash", "document_id", "tenant_key"),
    ),
)
JOBS = Table(
    "jobs",
    (
        # Jobs that are not final, by when somebody may take them up.
        Index("due", "due_queue", "due_at"),
        # Jobs of a tenant by age.
        Index("newest", "tenant_key", "newest"),
        # Jobs of a tenant that are not final, for counting them.
        Index("active", "active_tenant", "newest", carries=("job_state",)),
    ),
)
TABLES = (DOCUMENTS, JOBS)
