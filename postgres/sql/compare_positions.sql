-- Which positions of the primary's log this server has reached; nobody has one that lies ahead of it.
SELECT position
FROM unnest(%(positions)s::text[]) AS position
WHERE CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
      -- Not what is written out by now: without synchronous_commit that lies behind a commit.
      ELSE pg_current_wal_insert_lsn() END >= position::pg_lsn
