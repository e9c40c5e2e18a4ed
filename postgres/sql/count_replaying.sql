-- The fence of a replay: how many entries wait for each job, kept as they are until we commit.
SELECT replay_job, count(*)
FROM (
    SELECT replay_job FROM celeriac.quarantine
    WHERE replay_job = ANY (%(jobs)s::text[]) AND state = 'replaying'
    ORDER BY id
    FOR UPDATE
) AS waiting
GROUP BY replay_job
