-- What the planner thought the query would cost when it was stored or edited; unknown where it was not asked.
ALTER TABLE queries ADD COLUMN plan_cost double precision;

-- Whose query a step is of, the text where the step brought it, and the hash of the text that it took the place of.
ALTER TABLE query_audit
    ADD COLUMN owner text NOT NULL DEFAULT '',
    ADD COLUMN sql text NOT NULL DEFAULT '',
    ADD COLUMN previous_sql_hash text NOT NULL DEFAULT '';

UPDATE query_audit SET owner = queries.owner FROM queries WHERE queries.id = query_id;

-- Of queries that were edited before this, the log has the last text alone.
UPDATE query_audit SET sql = queries.sql
FROM queries
WHERE queries.id = query_id
      AND sequence = (
          SELECT min(sequence) FROM query_audit AS step
          WHERE step.query_id = queries.id AND step.sql_hash = queries.sql_hash
      );

-- Lists of a tenant and of an owner, newest first.
CREATE INDEX query_audit_by_tenant ON query_audit (tenant, at_time DESC, query_id DESC, sequence DESC);
CREATE INDEX query_audit_by_owner ON query_audit (tenant, owner, at_time DESC, query_id DESC, sequence DESC);
