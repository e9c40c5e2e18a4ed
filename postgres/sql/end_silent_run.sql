-- A session that neither works nor speaks for so long belongs to a process that stands still.
SELECT pg_terminate_backend(activity.pid)
FROM pg_catalog.pg_locks
JOIN pg_catalog.pg_stat_activity AS activity USING (pid)
WHERE locktype = 'advisory' AND granted
  AND pg_locks.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  -- The halves of a key are shown as oids, which have no sign.
  AND classid::bigint = %(space)s AND objid::bigint = hashtext(%(job_id)s)::bigint & 4294967295
  AND activity.pid <> pg_backend_pid()
  -- A statement that takes long is work, unless it waits for what its client is to send.
  AND (activity.state <> 'active' OR activity.wait_event = 'ClientRead')
  AND activity.state_change < clock_timestamp() - make_interval(secs => %(silent_seconds)s)
