-- Count committed jobs in their groups, in the order of the groups' ids, so that two batches never
-- wait for each other in a circle. A group that says otherwise by now, or that is full, is left
-- out of the answer: the caller's transaction must not commit then.
INSERT INTO celeriac.job_group AS known (id, size, done, task, continuation, digest, done_at)
SELECT
    id, size, members, task, continuation, decode(digest, 'hex'),
    CASE WHEN members = size THEN clock_timestamp() END
FROM unnest(
    %(ids)s::text[], %(sizes)s::integer[], %(members)s::integer[], %(tasks)s::text[],
    %(continuations)s::text[], %(digests)s::text[]
) AS counted (id, size, members, task, continuation, digest)
ORDER BY id COLLATE "C"
ON CONFLICT (id) DO UPDATE SET
    done = known.done + EXCLUDED.done,
    done_at = CASE WHEN known.done + EXCLUDED.done = known.size THEN clock_timestamp() END
WHERE known.digest = EXCLUDED.digest AND known.done + EXCLUDED.done <= known.size
RETURNING known.id, known.done = known.size
