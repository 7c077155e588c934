-- What the service is taught: DDL, documentation, and questions with their queries. The rows are the truth.
CREATE TABLE training (
    tenant      text NOT NULL,
    database    text NOT NULL,
    id          text NOT NULL CHECK (id ~ '^[0-9a-f]{64}$'),
    kind        text NOT NULL CHECK (kind IN ('DDL', 'DOCUMENTATION', 'EXAMPLE')),
    content     text NOT NULL,
    sql         text NOT NULL,
    state       text NOT NULL CHECK (state IN ('PENDING', 'APPROVED')),
    source      text NOT NULL CHECK (source IN ('API', 'APPROVED_QUERY')),
    query_id    text NOT NULL,
    author      text NOT NULL,
    decided_by  text NOT NULL,
    create_time timestamptz NOT NULL,
    decide_time timestamptz,
    PRIMARY KEY (tenant, database, id),
    CHECK ((decide_time IS NULL) = (state = 'PENDING'))
);

-- Lists, newest first.
CREATE INDEX training_by_age ON training (tenant, database, create_time DESC, id DESC);

-- How much of it is approved is asked at every question: a row for each scope, counted up and down with the items.
CREATE TABLE training_census (
    tenant        text NOT NULL,
    database      text NOT NULL,
    items         integer NOT NULL DEFAULT 0,
    ddl           integer NOT NULL DEFAULT 0,
    documentation integer NOT NULL DEFAULT 0,
    example       integer NOT NULL DEFAULT 0,
    revision      bigint NOT NULL DEFAULT 0,   -- moves with every change of what is approved
    PRIMARY KEY (tenant, database)
);

-- Vectors of approved items as plain arrays: the table is there also where the extension that compares them is not.
CREATE TABLE training_vectors (
    tenant    text NOT NULL,
    database  text NOT NULL,
    id        text NOT NULL,
    model     text NOT NULL,
    kind      text NOT NULL,
    embedding real[] NOT NULL,
    PRIMARY KEY (tenant, database, model, id)
);

-- The extension is wanted, not needed: without it, what is near a question is found by its words. The rag service makes
-- it too, in its own migration: its lock keeps the two from making it at the same time.
DO $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('diglot.migrations.rag', 0));
    CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;
EXCEPTION
    WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN NULL;
END
$$;
