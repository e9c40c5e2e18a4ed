DELETE FROM celeriac.tick AS old
WHERE
    old.enqueued_at < clock_timestamp() - %(keep)s::interval
    AND EXISTS (
        SELECT FROM celeriac.tick AS newer
        WHERE newer.report = old.report AND newer.tick > old.tick
    )
