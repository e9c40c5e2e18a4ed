-- How long a run took that is not recorded yet, and in which ledger it will be.
SELECT extract(epoch FROM clock_timestamp() - %(started_at)s::timestamptz)::float8, id::text
FROM celeriac.ledger_identity
