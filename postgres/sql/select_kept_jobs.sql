-- The jobs that an operator asks for; whatever is null asks for nothing.
SELECT *
FROM celeriac.job
WHERE state = ANY (%(states)s::text[])
  AND (%(ids)s::text[] IS NULL OR id = ANY (%(ids)s::text[]))
  AND (%(tasks)s::text[] IS NULL OR task = ANY (%(tasks)s::text[]))
  AND (
    %(targets)s::text[] IS NULL
    -- A job for several targets names all of them.
    OR string_to_array(subject, ',') && %(targets)s::text[]
  )
  AND (%(reason)s::text IS NULL OR position(lower(%(reason)s::text) IN lower(error)) > 0)
  AND (%(since)s::timestamptz IS NULL OR set_aside_at >= %(since)s::timestamptz)
  AND (%(until)s::timestamptz IS NULL OR set_aside_at < %(until)s::timestamptz)
