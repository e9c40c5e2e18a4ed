-- The tasks of whatever waits in the outbox, or was pushed and has not ended.
SELECT DISTINCT task FROM celeriac.outbox
