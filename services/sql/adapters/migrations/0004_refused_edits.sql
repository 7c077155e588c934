-- Edits that were refused: how many of a query the audit log tells, and their texts.
ALTER TABLE queries ADD COLUMN refused_edits integer NOT NULL DEFAULT 0;
ALTER TABLE query_audit ADD COLUMN refused_sql text NOT NULL DEFAULT '';
