-- What became of replays whose jobs ended, as the ledger has it in this very transaction: a row
-- that was committed closes its entry, one that was refused again is superseded by its new
-- entry, and a job that died or was cancelled gives all of its entries back.
WITH ended AS (
    SELECT entry.id, job.state AS job_state, again.id AS again_id
    FROM celeriac.quarantine AS entry
    JOIN celeriac.job ON job.id = entry.replay_job
    LEFT JOIN celeriac.quarantine AS again
        ON again.job_id = entry.replay_job
        AND again.row_number = entry.replay_row
        AND again.target = entry.target
    WHERE entry.state = 'replaying'
      AND job.state IN ('committed', 'dead', 'cancelled')
      AND (%(jobs)s::text[] IS NULL OR entry.replay_job = ANY (%(jobs)s::text[]))
), pointed_back AS (
    UPDATE celeriac.quarantine AS again SET replay_of = ended.id
    FROM ended WHERE again.id = ended.again_id
)
UPDATE celeriac.quarantine AS entry SET
    state = CASE
        WHEN ended.job_state <> 'committed' THEN 'quarantined'
        WHEN ended.again_id IS NULL THEN 'replayed'
        ELSE 'superseded'
    END,
    closed_at = CASE WHEN ended.job_state = 'committed' THEN now() END
FROM ended
WHERE entry.id = ended.id AND entry.state = 'replaying'
