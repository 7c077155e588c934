-- Queries from generation to their one run.
CREATE TABLE queries (
    id text PRIMARY KEY,
    tenant text NOT NULL,
    owner text NOT NULL,
    request_id uuid,
    question text NOT NULL,
    sql text NOT NULL,
    sql_hash text NOT NULL CHECK (sql_hash ~ '^[0-9a-f]{64}$'),
    explanation text NOT NULL,
    confidence double precision NOT NULL,
    tables text[] NOT NULL,
    state text NOT NULL
        CHECK (state IN ('PENDING', 'APPROVED', 'REJECTED', 'EXPIRED', 'EXECUTING', 'EXECUTED', 'FAILED')),
    state_reason text NOT NULL DEFAULT '',
    row_count integer,
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    decide_time timestamptz,
    execute_time timestamptz,
    -- What has begun to run never gets back to where it could run.
    CHECK ((execute_time IS NULL) = (state IN ('PENDING', 'APPROVED', 'REJECTED', 'EXPIRED')))
);

-- Lists, newest first.
CREATE INDEX queries_by_owner ON queries (tenant, owner, create_time DESC, id DESC);

-- The same request gives the same query.
CREATE UNIQUE INDEX queries_by_request ON queries (tenant, owner, request_id) WHERE request_id IS NOT NULL;

-- What time alone can move on.
CREATE INDEX queries_unsettled ON queries (tenant, expire_time) WHERE state IN ('PENDING', 'APPROVED', 'EXECUTING');

-- Every transition, written in the transaction that makes it. `subject` is empty where time made it.
CREATE TABLE query_audit (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    query_id text NOT NULL,
    tenant text NOT NULL,
    subject text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    sql_hash text NOT NULL,
    note text NOT NULL DEFAULT '',
    at_time timestamptz NOT NULL
);

CREATE INDEX query_audit_by_query ON query_audit (query_id, sequence);

-- The last schema read from each database.
CREATE TABLE schemas (
    database text PRIMARY KEY,
    fingerprint text NOT NULL,
    content jsonb NOT NULL,
    read_time timestamptz NOT NULL
);
