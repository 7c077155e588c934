-- Chunks, found by meaning and by words.
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

-- The one row says which model made the embeddings; others cannot be compared with them.
CREATE TABLE index_model (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    name      text NOT NULL,
    dimension integer NOT NULL CHECK (dimension > 0)
);

-- A document's row is locked by whoever changes its chunks, so that writers of one document take turns.
CREATE TABLE documents (
    tenant      text NOT NULL,
    document    text NOT NULL,
    filename    text NOT NULL,
    chunk_count integer NOT NULL DEFAULT 0,   -- chunks stored, so that counting a corpus need not read it
    term_count  bigint NOT NULL DEFAULT 0,    -- terms in them, repeats included: the average length for BM25
    PRIMARY KEY (tenant, document)
);

CREATE TABLE chunks (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant          text NOT NULL,
    document        text NOT NULL,
    chunk_index     integer NOT NULL,
    text            text NOT NULL,
    page            integer,
    headings        text[] NOT NULL,
    start_character integer NOT NULL,
    end_character   integer NOT NULL,
    fingerprint     text NOT NULL,
    term_count      integer NOT NULL,
    UNIQUE (tenant, document, chunk_index),
    FOREIGN KEY (tenant, document) REFERENCES documents ON DELETE CASCADE
);

CREATE TABLE embeddings (
    chunk_id  bigint PRIMARY KEY REFERENCES chunks ON DELETE CASCADE,
    tenant    text NOT NULL,
    embedding vector NOT NULL
);

-- The signs of each embedding, a thirtieth of its size: a search compares all of a tenant's sketches, then the embeddings
-- of the thousand likeliest. Up to a thousand chunks that is exact; among tens of thousands it finds all but a few in a
-- thousand of the neighbours in a third of the time. No hnsw: filtered by tenant, its default finds a third of them.
CREATE TABLE sketches (
    chunk_id bigint PRIMARY KEY REFERENCES chunks ON DELETE CASCADE,
    tenant   text NOT NULL,
    sketch   bit varying NOT NULL
);
CREATE INDEX sketches_by_tenant ON sketches (tenant);

-- Which term occurs how often in which chunk. PostgreSQL's own text search ranks without knowing how rare a word is, which
-- finds clearly less than BM25.
CREATE TABLE postings (
    chunk_id     bigint NOT NULL REFERENCES chunks ON DELETE CASCADE,
    tenant       text NOT NULL,
    term         text NOT NULL,
    occurrences  integer NOT NULL,
    chunk_length integer NOT NULL
);
CREATE INDEX postings_by_term ON postings (tenant, term) INCLUDE (chunk_id, occurrences, chunk_length);
CREATE INDEX postings_by_chunk ON postings (chunk_id);
