"""Diglot on one machine, no key and no account: `python -m deploy.local`, or `make run`.

Starts an embedded PostgreSQL, the four services and the gateway, loads the sample shop and the sample documents once,
and stops all of it on Ctrl-C or SIGTERM. A second Ctrl-C stops at once.

Settings, all optional, by environment:
  DIGLOT_HOST      address to listen on (127.0.0.1)
  DIGLOT_PORT      port to listen on (8000)
  DIGLOT_DATA_DIR  folder for everything that outlives a stop (.diglot in the repository)
  DIGLOT_SAMPLE    1 loads the sample shop and documents, 0 starts empty (1)
  DATABASE_URL     another PostgreSQL to ask instead of the sample shop, best with a role that can only read
"""

import os
import sys


def main(arguments: list[str]) -> int:
    """Run until told to stop. Returns: 0 after a stop, 1 when the start failed, 2 when a setting was refused."""
    if arguments:
        print(__doc__)
        return 0 if arguments[0] in ("-h", "--help") else 2
    try:
        return _run()
    except KeyboardInterrupt:  # Before anything was started; afterwards it is a stop signal like any other.
        return 0


def _run() -> int:
    # Imported here, so that a Ctrl-C in the meantime is no traceback.
    import asyncio

    from deploy.local.errors import LocalError
    from deploy.local.running import run
    from deploy.local.settings import read_settings

    try:
        settings = read_settings()
        os.umask(0o077)  # Whatever this and its children write is nobody else's business.
        return asyncio.run(run(settings))
    except LocalError as error:
        print(f"diglot: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
