-- The entries that an operator asks for; whatever is null asks for nothing.
SELECT *
FROM celeriac.quarantine
WHERE (%(ids)s::bigint[] IS NULL OR id = ANY (%(ids)s::bigint[]))
  AND (%(jobs)s::text[] IS NULL OR job_id = ANY (%(jobs)s::text[]))
  AND (%(targets)s::text[] IS NULL OR target = ANY (%(targets)s::text[]))
  AND (
    %(reason)s::text IS NULL
    OR sqlstate = upper(%(reason)s::text)
    OR position(lower(%(reason)s::text) IN lower(message)) > 0
  )
  AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s::timestamptz)
  AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s::timestamptz)
  AND (%(states)s::text[] IS NULL OR state = ANY (%(states)s::text[]))
