-- Documents of each tenant, keyed by the hash of their bytes; the names that point to them; and the jobs that make them.

CREATE TABLE documents (
    tenant            text        NOT NULL,
    document_id       text        NOT NULL CHECK (document_id ~ '^[0-9a-f]{64}$'),
    extension         text        NOT NULL,
    content_type      text        NOT NULL,
    size_bytes        bigint      NOT NULL,
    title             text        NOT NULL,
    page_count        integer,
    chunk_count       integer     NOT NULL,
    token_count       integer     NOT NULL,
    job_id            text        NOT NULL,
    -- The name the index shows. It differs from the oldest name while the index is still to be told; then `renamed`.
    indexed_filename  text        NOT NULL,
    renamed           boolean     NOT NULL DEFAULT false,
    state             text        NOT NULL CHECK (state IN ('READY', 'DELETING')),
    create_time       timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, document_id)
);

CREATE INDEX documents_newest ON documents (tenant, create_time DESC, document_id DESC) WHERE state = 'READY';
CREATE INDEX documents_unsettled ON documents (update_time) WHERE renamed OR state = 'DELETING';

CREATE TABLE filenames (
    tenant       text        NOT NULL,
    filename     text        NOT NULL,
    document_id  text        NOT NULL,
    create_time  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, filename),
    FOREIGN KEY (tenant, document_id) REFERENCES documents ON DELETE CASCADE
);

CREATE INDEX filenames_of_document ON filenames (tenant, document_id, create_time);

CREATE TABLE jobs (
    job_id               text        PRIMARY KEY,
    tenant               text        NOT NULL,
    subject              text        NOT NULL,
    document_id          text        NOT NULL,
    extension            text        NOT NULL,
    filename             text        NOT NULL,
    request_id           text,
    state                text        NOT NULL DEFAULT 'QUEUED',
    failure_reason       text        NOT NULL DEFAULT '',
    failure_detail       text        NOT NULL DEFAULT '',
    attempt_count        integer     NOT NULL DEFAULT 0,
    lost_lease_count     integer     NOT NULL DEFAULT 0,
    indexed_chunk_count  integer     NOT NULL DEFAULT 0,
    total_chunk_count    integer     NOT NULL DEFAULT 0,
    lease_token          text,
    lease_until          timestamptz,
    -- A job that was given back rests until then.
    due_time             timestamptz NOT NULL DEFAULT clock_timestamp(),
    create_time          timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time          timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (state IN ('QUEUED', 'FETCHING', 'PARSING', 'CHUNKING', 'INDEXING', 'READY', 'FAILED', 'CANCELLED')),
    CHECK ((lease_token IS NULL) = (lease_until IS NULL))
);

-- One job at a time works on a document, and a request id stands for one job.
CREATE UNIQUE INDEX jobs_active ON jobs (tenant, document_id) WHERE state NOT IN ('READY', 'FAILED', 'CANCELLED');
CREATE UNIQUE INDEX jobs_by_request ON jobs (tenant, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX jobs_newest ON jobs (tenant, create_time DESC, job_id DESC);
CREATE INDEX jobs_due ON jobs (due_time) WHERE state NOT IN ('READY', 'FAILED', 'CANCELLED');
