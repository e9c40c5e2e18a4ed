SELECT count(*) AS jobs,
       count(*) FILTER (WHERE state = 'committed') AS committed,
       coalesce(sum(rows), 0)::bigint AS rows,
       coalesce(sum(inserted), 0)::bigint AS inserted,
       coalesce(sum(updated), 0)::bigint AS updated,
       coalesce(sum(ignored), 0)::bigint AS ignored,
       coalesce(sum(superseded), 0)::bigint AS superseded,
       coalesce(sum(quarantined), 0)::bigint AS quarantined,
       count(DISTINCT batch) AS batches
FROM celeriac.job
WHERE task = %(task)s
  AND starts_with(id, %(id_prefix)s)
