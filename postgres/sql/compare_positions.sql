-- Which positions of the primary's log this server has reached; the primary itself has reached all.
SELECT position
FROM unnest(%(positions)s::text[]) AS position
WHERE NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= position::pg_lsn
