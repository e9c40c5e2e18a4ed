-- Undo the claim of jobs that could not run for now; only rows of this very transaction.
DELETE FROM celeriac.job
WHERE id = ANY (%(ids)s::text[]) AND batch = pg_current_xact_id()::text::bigint
