-- Makes the role that reads a database for Diglot and can do nothing else there, or brings an older one back to that.
--
--   READER_PASSWORD='...' psql "$OWNER_URL" -v schemas=public,sales -f deploy/database/create_reader.sql
--
-- $OWNER_URL leads to that database as its owner, or as whatever role a managed service hands out; no superuser is
-- needed. What needs one is tried, and where it fails a warning says what remains. Repeating it is safe, and takes in
-- the tables that came meanwhile. Variables, each as `-v name=value`:
--
--   reader        name of the role: diglot_reader
--   password      taken from READER_PASSWORD where it is not given; empty: as it is (set it with \password)
--   schemas       what may be read, separated by commas: public
--   connections   most connections at a time: 20
--   close_public  yes: also take from everybody (PUBLIC) what nobody who only reads needs: making temporary tables,
--                 schemas, objects in schemas, and large objects. That binds the other roles of the database too, so
--                 that it is not done unasked: no; warnings tell the statements.
--
-- An older role loses every right that was given to it in this database, also in other schemas and for what is made
-- later, and every setting of its sessions; then it gets its due. Where something is left that you may not take, it is
-- refused and nothing is done; and a role that owns anything, is in another role or has an attribute always is.
--
-- To keep a table or a column back, revoke it afterwards: REVOKE SELECT ON ... FROM diglot_reader, and for columns
-- GRANT SELECT (name, ...) ON ... in its place. Running this again gives the whole table back.
--
-- What no script can take: every role may change its own password and its own defaults (ALTER ROLE), those of its
-- session (SET), and give up its own rights (DROP OWNED). Nothing that Diglot sends can do it, because it only sends queries, in transactions that cannot
-- write; whoever holds the password can. Such a change gives no right to write, but a changed password locks Diglot
-- out. Where that matters let the role log in without a password of its own: by certificate, or the service's IAM.
\set ON_ERROR_STOP on
\if :{?password}
\else
  \set password ''
  \getenv password READER_PASSWORD
\endif
\if :{?reader}
\else
  \set reader diglot_reader
\endif
\if :{?schemas}
\else
  \set schemas public
\endif
\if :{?connections}
\else
  \set connections 20
\endif
\if :{?close_public}
\else
  \set close_public no
\endif

BEGIN;
SET LOCAL diglot.reader = :'reader';
SET LOCAL diglot.password = :'password';
SET LOCAL diglot.schemas = :'schemas';
SET LOCAL diglot.connections = :'connections';
SET LOCAL diglot.close_public = :'close_public';

DO $$
DECLARE
  reader   text := current_setting('diglot.reader');
  password text := current_setting('diglot.password');
  schemas  text[] := regexp_split_to_array(trim(current_setting('diglot.schemas')), '\s*,\s*');
  wanted   text;
  found    record;
  kept     text;
  writes   text := 'INSERT, UPDATE, DELETE, TRUNCATE'
                   || CASE WHEN current_setting('server_version_num')::int >= 170000 THEN ', MAINTAIN' ELSE '' END;
  -- Every right in this database that was given to the role itself ($1), now or for what is made later.
  given    text := $given$
    SELECT kind, privilege_type AS privilege, format('REVOKE ALL ON %s %s FROM %I CASCADE', kind, name, $1) AS statement
    FROM (
      SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass::text, relacl FROM pg_class
      WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      UNION ALL SELECT 'TABLE', attrelid::regclass::text, attacl FROM pg_attribute
      UNION ALL SELECT 'SCHEMA', quote_ident(nspname), nspacl FROM pg_namespace
      UNION ALL SELECT 'ROUTINE', oid::regprocedure::text, proacl FROM pg_proc
      UNION ALL SELECT 'FOREIGN SERVER', quote_ident(srvname), srvacl FROM pg_foreign_server
      UNION ALL SELECT 'FOREIGN DATA WRAPPER', quote_ident(fdwname), fdwacl FROM pg_foreign_data_wrapper
      UNION ALL SELECT 'LARGE OBJECT', oid::text, lomacl FROM pg_largeobject_metadata
      UNION ALL SELECT 'TABLESPACE', quote_ident(spcname), spcacl FROM pg_tablespace
      $parameters$
    ) AS rights (kind, name, acl), aclexplode(acl) WHERE grantee = (SELECT oid FROM pg_roles WHERE rolname = $1)
    UNION ALL
    SELECT 'DEFAULT', privilege_type,
      format('ALTER DEFAULT PRIVILEGES FOR ROLE %I %s REVOKE ALL ON %s FROM %I', pg_get_userbyid(defaclrole),
             CASE WHEN nspname IS NOT NULL THEN 'IN SCHEMA ' || quote_ident(nspname) END, CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES'
             WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END, $1)
    FROM pg_default_acl LEFT JOIN pg_namespace n ON n.oid = defaclnamespace, aclexplode(defaclacl)
    WHERE grantee = (SELECT oid FROM pg_roles WHERE rolname = $1)
  $given$;
BEGIN
  given := replace(given, '$parameters$', CASE WHEN to_regclass('pg_catalog.pg_parameter_acl') IS NOT NULL
    THEN 'UNION ALL SELECT ''PARAMETER'', parname, paracl FROM pg_parameter_acl' ELSE '' END);
  FOREACH wanted IN ARRAY schemas LOOP
    IF to_regnamespace(quote_ident(wanted)) IS NULL OR wanted ~ '^pg_' OR wanted = 'information_schema' THEN
      RAISE EXCEPTION 'schemas: there is no schema "%" of yours in this database', wanted;
    END IF;
  END LOOP;

  -- The role. Everything that is not said here is off in a new one.
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = reader) THEN
    EXECUTE format('CREATE ROLE %I', reader);
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = reader
             AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls))
     OR EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = reader)
     OR EXISTS (SELECT FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
                WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o' AND r.rolname = reader) THEN
    RAISE EXCEPTION 'role "%" can do more than read: it has an attribute, is in another role, or owns something', reader
      USING HINT = 'Give another name: -v reader=diglot_reader_2';
  END IF;
  EXECUTE format('ALTER ROLE %I LOGIN NOINHERIT CONNECTION LIMIT %s', reader,
                 current_setting('diglot.connections')::int);
  IF password <> '' THEN
    EXECUTE format('ALTER ROLE %I PASSWORD %L', reader, password);
  END IF;

  -- An older role: whatever it was given, and whatever its sessions were to begin with. What is its due follows below.
  EXECUTE format('ALTER ROLE %I RESET ALL', reader);
  EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET ALL', reader, current_database());
  FOR found IN EXECUTE given USING reader LOOP
    BEGIN
      EXECUTE found.statement;
    EXCEPTION WHEN insufficient_privilege THEN
      NULL;  -- looked at next
    END;
  END LOOP;
  EXECUTE 'SELECT string_agg(DISTINCT statement, ''; '') FROM (' || given || ') AS kept
           WHERE NOT (privilege = ''SELECT'' OR kind = ''SCHEMA'' AND privilege = ''USAGE'')' INTO kept USING reader;
  IF kept IS NOT NULL THEN
    RAISE EXCEPTION 'role "%" can do more than read, and what was given it by others is not yours to take', reader
      USING HINT = 'Give another name: -v reader=diglot_reader_2; or have it taken by who gave it, or a superuser: '
                   || left(kept, 1000);
  END IF;
  SELECT string_agg(DISTINCT split_part(setting, '=', 1), ', ') INTO kept
    FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) AS setting
    WHERE r.rolname = reader AND setting NOT LIKE 'temp_file_limit=%'
      AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()));
  IF kept IS NOT NULL THEN
    RAISE WARNING 'its sessions go on beginning with another %; as superuser: ALTER ROLE % RESET ALL; '
      'ALTER ROLE % IN DATABASE % RESET ALL', kept, quote_ident(reader), quote_ident(reader),
      quote_ident(current_database());
  END IF;

  -- Its sessions. They are defaults, which a session may change; Diglot sets stricter ones for each transaction.
  FOR found IN
    SELECT name, value FROM (VALUES
      ('default_transaction_read_only', 'on'),
      ('statement_timeout', '30s'),
      ('lock_timeout', '2s'),
      ('idle_in_transaction_session_timeout', '60s'),
      ('idle_session_timeout', '30min'),
      ('work_mem', '16MB'),
      ('max_parallel_workers_per_gather', '0'),
      ('temp_file_limit', '256MB')  -- only a superuser may set it, and then no session can change it
    ) AS limits (name, value) WHERE EXISTS (SELECT FROM pg_settings s WHERE s.name = limits.name)
  LOOP
    BEGIN
      EXECUTE format('ALTER ROLE %I SET %I = %L', reader, found.name, found.value);
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE WARNING '% stays at %; as superuser: ALTER ROLE % SET % = %', found.name,
        current_setting(found.name), quote_ident(reader), found.name, quote_literal(found.value);
    END;
  END LOOP;
  EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = %s', reader, current_database(),
                 (SELECT string_agg(quote_ident(name), ', ' ORDER BY place)
                  FROM unnest(schemas) WITH ORDINALITY AS given (name, place)));

  -- The database.
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM %I', current_database(), reader);
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), reader);

  -- What is there to read, and what will be.
  FOREACH wanted IN ARRAY schemas LOOP
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM %I', wanted, reader);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', wanted, reader);
    FOR found IN
      SELECT c.oid::regclass AS name FROM pg_class c
      WHERE c.relnamespace = quote_ident(wanted)::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        -- What an extension brings along is not for reading: pg_stat_statements tells everybody's queries.
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                        AND d.deptype = 'e')
    LOOP
      BEGIN
        EXECUTE format('REVOKE ALL ON TABLE %s FROM %I', found.name, reader);
        EXECUTE format('GRANT SELECT ON TABLE %s TO %I', found.name, reader);
      EXCEPTION WHEN insufficient_privilege THEN
        RAISE WARNING '% is not yours to give; as its owner: GRANT SELECT ON % TO %', found.name, found.name,
          quote_ident(reader);
      END;
    END LOOP;
    EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA %I FROM %I', wanted, reader);
    FOR found IN
      SELECT rolname AS name FROM pg_roles
      WHERE rolname = current_user OR oid IN (
        SELECT relowner FROM pg_class WHERE relnamespace = quote_ident(wanted)::regnamespace
        UNION SELECT nspowner FROM pg_namespace WHERE nspname = wanted)
    LOOP
      BEGIN
        EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT ON TABLES TO %I',
                       found.name, wanted, reader);
      EXCEPTION WHEN insufficient_privilege THEN
        RAISE WARNING 'tables that % makes in % later can be read after this has been run again', found.name, wanted;
      END;
    END LOOP;
  END LOOP;

  -- What everybody may do by PostgreSQL's defaults, and the role with them.
  FOR found IN
    SELECT statement, danger FROM (
      SELECT format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()) AS statement,
             'temporary tables can be made and written, which fills the disk' AS danger
      WHERE has_database_privilege(reader, current_database(), 'TEMPORARY')
      UNION ALL
      SELECT format('REVOKE CREATE ON DATABASE %I FROM PUBLIC', current_database()), 'schemas can be made'
      WHERE has_database_privilege(reader, current_database(), 'CREATE')
      UNION ALL
      SELECT format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', nspname), 'objects can be made, which others may trip over'
      FROM pg_namespace WHERE nspname !~ '^pg_' AND has_schema_privilege(reader, oid, 'CREATE')
      UNION ALL
      SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', p.oid::regprocedure), 'large objects can be written'
      FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace
        AND p.proname IN ('lo_creat', 'lo_create', 'lo_from_bytea') AND has_function_privilege(reader, p.oid, 'EXECUTE')
    ) AS open
  LOOP
    IF current_setting('diglot.close_public')::bool THEN
      EXECUTE found.statement;
    ELSE
      RAISE WARNING 'left open to everybody: %; to close it: %', found.danger, found.statement;
    END IF;
  END LOOP;

  -- What only the one who made it can judge.
  FOR found IN
    SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', p.oid::regprocedure) AS statement FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND has_function_privilege(reader, p.oid, 'EXECUTE') AND has_schema_privilege(reader, n.oid, 'USAGE')
    UNION ALL
    SELECT format('REVOKE USAGE, UPDATE ON SEQUENCE %s FROM PUBLIC', c.oid::regclass)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(reader, c.oid, 'USAGE, UPDATE') END
    UNION ALL
    SELECT format('REVOKE %s ON %s FROM PUBLIC', writes, c.oid::regclass)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (has_table_privilege(reader, c.oid, writes)
           OR has_any_column_privilege(reader, c.oid, 'INSERT, UPDATE'))
    ORDER BY 1
  LOOP
    RAISE WARNING 'more than reading, and open to everybody; if nobody else needs it: %', found.statement;
  END LOOP;
END
$$;
COMMIT;
