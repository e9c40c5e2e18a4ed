-- Held, so that the next delivery of this payload takes it over, once, and so that the payload
-- stays until then, whatever becomes of the queue.
UPDATE celeriac.job SET
    state = 'held',
    error = %(reason)s,
    digest = decode(%(digest)s, 'hex'),
    payload = %(payload)s,
    attempts = 0,
    set_aside_at = clock_timestamp()
WHERE id = %(id)s AND state = 'dead'
