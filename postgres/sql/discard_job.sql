UPDATE celeriac.job SET
    state = 'cancelled',
    error = %(reason)s,
    payload = NULL,
    set_aside_at = clock_timestamp()
WHERE id = %(id)s AND state IN ('dead', 'held')
