-- Correct what the claim wrote for jobs that went otherwise than inserted whole.
UPDATE celeriac.job SET
    state = outcome.state,
    inserted = outcome.inserted,
    updated = outcome.updated,
    ignored = outcome.ignored,
    superseded = outcome.superseded,
    quarantined = outcome.quarantined,
    result = outcome.result,
    error = outcome.error,
    payload = outcome.payload,
    committed_at = CASE WHEN outcome.state = 'committed' THEN job.committed_at END,
    set_aside_at = CASE
        WHEN outcome.state IN ('dead', 'held', 'cancelled') THEN clock_timestamp()
    END
FROM unnest(
    %(ids)s::text[], %(states)s::text[],
    %(inserted)s::integer[], %(updated)s::integer[], %(ignored)s::integer[],
    %(superseded)s::integer[], %(quarantined)s::integer[],
    %(results)s::jsonb[], %(errors)s::text[], %(payloads)s::text[]
) AS outcome (
    id, state, inserted, updated, ignored, superseded, quarantined, result, error, payload
)
WHERE job.id = outcome.id
