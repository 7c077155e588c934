"""Why a run of the harness ends without figures.

HarnessError        told on stderr in one line
├── BadInput        an argument, a folder, a line or a dump cannot be used; exit code 2
└── RunFailed       the scratch server, a service or the model's traffic fails; exit code 1
"""


class HarnessError(Exception):
    """The run ends here."""

    exit_code = 1


class BadInput(HarnessError):
    """What was handed in cannot be used. The text names the file, and the line where there is one."""

    exit_code = 2


class RunFailed(HarnessError):
    """Something that the run stands on broke. The text holds the end of its log."""
