UPDATE celeriac.quarantine AS entry
SET state = 'replaying', replay_job = place.job_id, replay_row = place.row_number
FROM unnest(%(ids)s::bigint[], %(jobs)s::text[], %(rows)s::integer[])
    AS place (id, job_id, row_number)
WHERE entry.id = place.id AND entry.state = 'quarantined'
