-- Nobody else answers an equal question as long as this session keeps the lock.
-- What it reads from now on is as new as this clock says.
SELECT CASE WHEN pg_try_advisory_lock(%(space)s, hashtext(%(key)s)) THEN clock_timestamp() END
