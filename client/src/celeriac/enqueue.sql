SELECT celeriac.enqueue(
    CAST(:task AS text),
    CAST(CAST(:kwargs AS text) AS jsonb),
    coalesce(CAST(CAST(:run_at AS text) AS timestamptz), now()),
    CAST(:id AS text),
    CAST(CAST(:options AS text) AS jsonb)
)
