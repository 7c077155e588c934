-- Which of the documents that had a name one after the other this is, and which one took the last name of a removed one.

ALTER TABLE documents
    ADD COLUMN version   integer NOT NULL DEFAULT 1 CHECK (version >= 1),
    ADD COLUMN successor text    NOT NULL DEFAULT '';
