-- How far jobs are, what could not be read, files of failed jobs that are kept to be retried, and who removes what.

ALTER TABLE jobs
    ADD COLUMN parsed_page_count integer     NOT NULL DEFAULT 0,
    ADD COLUMN total_page_count  integer     NOT NULL DEFAULT 0,
    ADD COLUMN page_notes        jsonb       NOT NULL DEFAULT '[]',
    ADD COLUMN tags              text[]      NOT NULL DEFAULT '{}',
    -- Names of further uploads of the same bytes; they get the document with the job's own.
    ADD COLUMN joined_filenames  text[]      NOT NULL DEFAULT '{}',
    -- The file of a job that failed is kept until then.
    ADD COLUMN file_kept_until   timestamptz;

CREATE INDEX jobs_newest_in_state ON jobs (tenant, state, create_time DESC, job_id DESC);
CREATE INDEX jobs_with_files ON jobs (file_kept_until) WHERE file_kept_until IS NOT NULL;

ALTER TABLE documents
    ADD COLUMN tags           text[] NOT NULL DEFAULT '{}',
    ADD COLUMN page_notes     jsonb  NOT NULL DEFAULT '[]',
    -- Whoever removes a document that is DELETING holds it for so long.
    ADD COLUMN deletion_token text,
    ADD COLUMN deletion_until timestamptz;
