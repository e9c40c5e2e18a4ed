-- Nobody else answers an equal question as long as this session keeps the lock.
SELECT pg_try_advisory_lock(%(space)s, hashtext(%(key)s))
