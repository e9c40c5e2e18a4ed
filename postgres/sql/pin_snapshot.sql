SELECT pg_current_snapshot()::text AS snapshot,
       statement_timestamp() AS taken_at,
       -- Read after the snapshot was taken: all that it shows was written before this.
       CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
            ELSE pg_current_wal_lsn() END::text AS lsn,
       set_config('statement_timeout', %(timeout_ms)s::bigint::text, true) AS timeout,
       -- Whoever stands still between two statements must not hold back vacuum for ever.
       set_config('idle_in_transaction_session_timeout', %(idle_ms)s::bigint::text, true) AS idle,
       -- All rows are read: plan for the last one, not for a quick first one.
       set_config('cursor_tuple_fraction', '1', true) AS fraction
