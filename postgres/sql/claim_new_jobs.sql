-- Write jobs as committed that nobody knows yet; an id that is known raises 23505.
-- Nothing is claimed while any of their targets is held. Ids go in their order, like claim_jobs.
SELECT celeriac.claim_new_jobs(
    %(task)s, %(worker)s, %(ids)s::text[], %(subjects)s::text[], %(distinct_subjects)s::text[],
    %(rows)s::integer[], %(digests)s::text[]
) AS jobs
