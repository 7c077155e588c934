"""What the role of the user's database could do there besides reading, looked at again and again: rights change."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from services.sql.adapters.postgres_identity import Place, read_place
from services.sql.adapters.postgres_session import Connection, Pool
from services.sql.adapters.postgres_unreachable import why_unreachable
from services.sql.errors import ConfigurationRefused, DatabaseRefused

logger = logging.getLogger(__name__)

ONE_DATABASE = (
    "DATABASE_URL and DIGLOT_STORE_URL name the same database; the service keeps its own data in another one than the"
    " one it asks, for example DIGLOT_STORE_URL=postgresql://diglot:password@host:5432/diglot_store"
)

_START_SECONDS = 15.0
_MOST_TOLD = 5
_MAKE_READER = "Give it a role with CONNECT, USAGE and SELECT only, as deploy/database/create_reader.sql makes it"

# Membership counts though it may take a SET ROLE first. A superuser is a member of every role: that alone is told.
_POWERS = """
WITH me AS (SELECT * FROM pg_roles WHERE rolname = current_user),
reach AS (
  SELECT r.* FROM pg_roles r, me
  WHERE r.oid = me.oid OR (NOT me.rolsuper AND pg_has_role(current_user, r.oid, 'MEMBER'))
),
own_schemas AS (SELECT * FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
relations AS (
  SELECT c.oid, c.relkind, c.relowner, n.nspname || '.' || c.relname AS name
  FROM pg_class c JOIN own_schemas n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
)
SELECT power FROM (
  SELECT 'is a superuser' AS power FROM reach WHERE rolsuper
  UNION ALL SELECT 'may create roles' FROM reach WHERE rolcreaterole
  UNION ALL SELECT 'may create databases' FROM reach WHERE rolcreatedb
  UNION ALL SELECT 'may replicate' FROM reach WHERE rolreplication
  UNION ALL SELECT 'may pass by row-level policies' FROM reach WHERE rolbypassrls AND NOT rolsuper
  UNION ALL SELECT 'is a member of ' || rolname FROM reach
    WHERE rolname IN ('pg_write_all_data', 'pg_execute_server_program', 'pg_read_server_files',
                      'pg_write_server_files', 'pg_signal_backend', 'pg_signal_autovacuum_worker', 'pg_maintain',
                      'pg_checkpoint', 'pg_create_subscription', 'pg_database_owner')
  UNION ALL SELECT 'may create schemas' FROM reach WHERE has_database_privilege(oid, current_database(), 'CREATE')
  UNION ALL SELECT 'owns schema ' || nspname FROM own_schemas WHERE nspowner IN (SELECT oid FROM reach)
  UNION ALL SELECT 'may create objects in schema ' || nspname FROM own_schemas n, reach
    WHERE has_schema_privilege(reach.oid, n.oid, 'CREATE')
  UNION ALL (SELECT 'owns table ' || name FROM relations WHERE relowner IN (SELECT oid FROM reach) LIMIT 3)
  UNION ALL (SELECT 'may change table ' || name FROM relations, reach
    WHERE relkind IN ('r', 'p', 'v', 'f')
      AND (has_table_privilege(reach.oid, relations.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
           OR has_any_column_privilege(reach.oid, relations.oid, 'INSERT, UPDATE'))
    LIMIT 3)
  UNION ALL (SELECT 'may maintain table ' || name FROM relations, reach
    WHERE relkind <> 'S' AND CASE WHEN current_setting('server_version_num')::int >= 170000
      THEN has_table_privilege(reach.oid, relations.oid, 'MAINTAIN') END
    LIMIT 3)
  UNION ALL (SELECT 'may advance sequence ' || name FROM relations, reach
    WHERE relkind = 'S' AND has_sequence_privilege(reach.oid, relations.oid, 'USAGE, UPDATE') LIMIT 3)
  UNION ALL SELECT 'may call ' || p.proname FROM pg_proc p, reach
    WHERE p.pronamespace = 'pg_catalog'::regnamespace AND has_function_privilege(reach.oid, p.oid, 'EXECUTE')
      AND p.proname IN ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'pg_stat_file', 'lo_import', 'lo_export',
                        'pg_reload_conf', 'pg_rotate_logfile', 'pg_switch_wal', 'pg_create_restore_point', 'pg_promote')
      AND NOT reach.rolsuper
) AS powers GROUP BY power ORDER BY min(CASE WHEN power LIKE 'is %' THEN 0 ELSE 1 END), power LIMIT 20
"""

# From PostgreSQL 15 on: what otherwise only a superuser may set, like session_replication_role, which stops triggers.
_PARAMETERS_FROM_VERSION = 150_000
_PARAMETERS = """
SELECT DISTINCT 'may set parameter ' || parname FROM pg_parameter_acl, aclexplode(paracl)
WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
  AND (grantee = 0 OR pg_has_role(current_user, grantee, 'MEMBER'))
ORDER BY 1 LIMIT 5
"""

# What PostgreSQL leaves open to everybody, or to the role for want of a limit. The guard and the session keep queries
# from it; whoever has the password is not kept.
_OPENINGS = """
SELECT opening FROM (
  SELECT 'temporary tables can be made' AS opening WHERE has_database_privilege(current_database(), 'TEMPORARY')
  UNION ALL SELECT 'large objects can be made' WHERE has_function_privilege('pg_catalog.lo_create(oid)', 'EXECUTE')
  UNION ALL (SELECT 'function ' || p.oid::regprocedure || ' runs with its owner''s rights'
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND has_function_privilege(p.oid, 'EXECUTE') AND has_schema_privilege(n.oid, 'USAGE')
    ORDER BY 1 LIMIT 5)
  UNION ALL SELECT DISTINCT 'other servers can be reached by ' || p.proname
    FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
         JOIN pg_extension e ON e.oid = d.refobjid
    WHERE e.extname = 'dblink' AND p.proname IN ('dblink', 'dblink_connect', 'dblink_exec')
      AND has_function_privilege(p.oid, 'EXECUTE') AND has_schema_privilege(p.pronamespace, 'USAGE')
  UNION ALL SELECT 'statements of other roles can be seen' FROM pg_roles
    WHERE rolname = 'pg_read_all_stats' AND pg_has_role(current_user, oid, 'USAGE')
  UNION ALL SELECT 'temp_file_limit is not set' WHERE current_setting('temp_file_limit') = '-1'
  UNION ALL SELECT 'the number of connections is not limited' FROM pg_roles
    WHERE rolname = current_user AND rolconnlimit = -1
) AS openings LIMIT 20
"""


@dataclass(frozen=True)
class Findings:
    """What was found, in words."""

    place: Place
    powers: tuple[str, ...]  # more than reading
    openings: tuple[str, ...]  # what no proper reading role can be without everywhere


class TargetWatch:
    """Looks at the user's database on connections that are about to be used, and refuses it where it must be refused.

    A database that was down at the start is looked at when it is back. What is well is looked at again after
    `seconds`; what is refused each time, so that it is used again as soon as it has been put right.

    Args:
        refuses_powers: whether a role that can do more than read is refused, and not only warned of.
        store_place: where the service keeps its own data; None where that is no PostgreSQL.
    """

    def __init__(
        self,
        *,
        refuses_powers: bool,
        store_place: Place | None,
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._refuses_powers = refuses_powers
        self._store_place = store_place
        self._seconds = seconds
        self._monotonic = monotonic
        self._found: Findings | None = None
        self._looked_at = 0.0

    async def look(self, connection: Connection) -> None:
        """Raises DatabaseRefused, and psycopg.Error where the database does not tell."""
        if self._found is None or self._objection or self._monotonic() - self._looked_at >= self._seconds:
            found = await read_findings(connection)
            self._looked_at = self._monotonic()
            before, self._found = self._found, found
            if found != before:
                self._tell(found)
        if self._objection:
            raise DatabaseRefused

    async def look_at_start(self, pool: Pool) -> None:
        """Raises ConfigurationRefused; a database that is down is let be."""
        try:
            async with asyncio.timeout(_START_SECONDS), pool.connection() as connection:
                await self.look(connection)
        except (psycopg.Error, OSError):
            advice = f"DATABASE_URL: {await why_unreachable(str(pool.conninfo))}"
            logger.warning("target.unreachable_at_start", extra={"advice": advice})
        except DatabaseRefused as error:
            raise ConfigurationRefused(self._objection) from error

    @property
    def standing(self) -> str:
        """What is known of the role, for people who run the service."""
        if self._found is None:
            return "not known yet"
        return "can do more than read; the log says what" if self._found.powers else "reads"

    @property
    def _objection(self) -> str:
        """Why the database must not be asked; empty when it may be."""
        found = self._found
        if found is None:
            return ""
        if found.place == self._store_place:
            return ONE_DATABASE
        if found.powers and self._refuses_powers:
            return (
                "the role in DATABASE_URL can do more than read: it "
                + f"{', '.join(found.powers[:_MOST_TOLD])}. {_MAKE_READER}"
            )
        return ""

    def _tell(self, found: Findings) -> None:
        if found.powers:
            told = f"the role in DATABASE_URL can do more than read: it {', '.join(found.powers[:_MOST_TOLD])}"
            advice = f"{told}. {_MAKE_READER}"
            logger.warning("target.role_may_write", extra={"powers": list(found.powers), "advice": advice})
        if found.openings:
            logger.warning("target.left_open", extra={"openings": list(found.openings)})
        if self._objection:
            logger.error("target.refused", extra={"reason": self._objection})


async def read_findings(connection: Connection) -> Findings:
    """Look now. Raises psycopg.Error."""
    powers = await (await connection.execute(_POWERS)).fetchall()
    if connection.info.server_version >= _PARAMETERS_FROM_VERSION:
        powers += await (await connection.execute(_PARAMETERS)).fetchall()
    openings = await (await connection.execute(_OPENINGS)).fetchall()
    return Findings(
        await read_place(connection),
        tuple(str(power) for (power,) in powers),
        tuple(str(opening) for (opening,) in openings),
    )
