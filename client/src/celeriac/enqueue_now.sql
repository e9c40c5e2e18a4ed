SELECT celeriac.enqueue(
    CAST(:task AS text), CAST(CAST(:kwargs AS text) AS jsonb), id => CAST(:id AS text)
)
