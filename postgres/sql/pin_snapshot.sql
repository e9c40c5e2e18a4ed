SELECT pg_current_snapshot()::text AS snapshot,
       statement_timestamp() AS taken_at,
       set_config('statement_timeout', %(timeout_ms)s::bigint::text, true) AS timeout,
       -- All rows are read: plan for the last one, not for a quick first one.
       set_config('cursor_tuple_fraction', '1', true) AS fraction
