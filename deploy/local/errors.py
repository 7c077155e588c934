"""Why the local system does not start or cannot go on; each message is written for the person at the console.

LocalError                  ends the start with exit code 1
├── SettingsRefused         a setting is malformed or cannot be used; exit code 2
├── DataFolderInUse         another Diglot works on the same data folder
├── PostgresFailed          the embedded PostgreSQL cannot be set up, started or stopped
├── ServiceFailed           a service ends again and again before it was ever healthy
└── SeedingFailed           the sample documents cannot be uploaded
"""


class LocalError(Exception):
    """The local system cannot start."""

    exit_code = 1


class SettingsRefused(LocalError):
    """A setting is malformed, or names something that is taken."""

    exit_code = 2


class DataFolderInUse(LocalError):
    """Somebody else holds the data folder."""


class PostgresFailed(LocalError):
    """PostgreSQL could not be set up, started or stopped; the message holds the end of its log."""


class ServiceFailed(LocalError):
    """A service does not come up; the message holds the end of its log."""


class SeedingFailed(LocalError):
    """A sample document was refused."""


class KeyNeeded(LocalError):
    """The API asks for a key, so there is no telling whose the documents would be."""
