-- Forget closed entries, and those that nobody decided on in the time given for that, if any is.
WITH due AS MATERIALIZED (
    SELECT id FROM celeriac.quarantine
    WHERE closed_at < now() - %(keep)s::interval
    UNION ALL
    SELECT id FROM celeriac.quarantine
    WHERE state = 'quarantined' AND created_at < now() - %(keep_open)s::interval
    LIMIT %(limit)s
), locked AS MATERIALIZED (
    SELECT entry.id FROM celeriac.quarantine AS entry JOIN due ON due.id = entry.id
    WHERE entry.closed_at IS NOT NULL OR entry.state = 'quarantined'
    FOR UPDATE OF entry SKIP LOCKED
)
DELETE FROM celeriac.quarantine AS entry USING locked WHERE entry.id = locked.id
