SELECT count(*) FROM celeriac.enqueue_many(
    CAST(:task AS text),
    ARRAY(
        SELECT one FROM jsonb_array_elements(CAST(CAST(:jobs AS text) AS jsonb))
        WITH ORDINALITY AS job (one, place) ORDER BY place
    ),
    coalesce(CAST(CAST(:run_at AS text) AS timestamptz), now()),
    (
        SELECT array_agg(one ORDER BY place)
        FROM jsonb_array_elements_text(CAST(CAST(:ids AS text) AS jsonb))
        WITH ORDINALITY AS id (one, place)
    ),
    CAST(CAST(:options AS text) AS jsonb)
)
