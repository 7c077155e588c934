"""What can go wrong with a service's own store.

    StorageError
    ├── StorageUnreachable     nobody answers at the address, or the login is refused
    ├── StorageUrlInvalid      the address cannot be read as a PostgreSQL URL
    ├── TableMissing           a table of DynamoDB has not been made
    ├── TableUnfit             a table of that name belongs to something else
    └── MigrationRefused       the migrations on disk and those applied do not fit together
        └── MigrationFailed    the database refused a statement of a migration; nothing of it was kept

No message holds the address itself: it carries a password.
"""


class StorageError(Exception):
    """Something is wrong with the store as a whole, not with one statement."""

    for_operators = True  # a log of a failed start tells the text


class StorageUnreachable(StorageError):
    """No connection came about within the time allowed."""


class StorageUrlInvalid(StorageError):
    """The address is no PostgreSQL connection URL."""


class TableMissing(StorageError):
    """A table of DynamoDB is not there."""


class TableUnfit(StorageError):
    """A table of DynamoDB has other keys than the service's."""


class MigrationRefused(StorageError):
    """A migration is misnamed, numbered twice, or differs from what was applied under its number."""


class MigrationFailed(MigrationRefused):
    """A statement of a migration failed and the migration was rolled back."""

    for_operators = False  # the database's words may quote a row
