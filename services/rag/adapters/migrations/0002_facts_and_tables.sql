-- What is known of a whole document: its title is embedded with its chunks, searches are narrowed by the rest.
ALTER TABLE documents
    ADD COLUMN title       text NOT NULL DEFAULT '',
    ADD COLUMN extension   text NOT NULL DEFAULT '',
    ADD COLUMN tags        text[] NOT NULL DEFAULT '{}',
    ADD COLUMN create_time timestamptz;   -- when its bytes first came; null where nobody said

-- Which rows of which table a chunk consists of; null where it holds anything else.
ALTER TABLE chunks
    ADD COLUMN table_number integer,
    ADD COLUMN first_row    integer,
    ADD COLUMN last_row     integer,
    ADD CONSTRAINT rows_of_a_table CHECK (num_nulls(table_number, first_row, last_row) IN (0, 3) AND first_row <= last_row);
