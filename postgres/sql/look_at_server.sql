-- What an operator has to know of the server; settings that a server is too old for are null.
SELECT
    current_setting('server_version_num')::int AS version_number,
    current_setting('server_version') AS version,
    current_setting('fsync')::bool AS fsync,
    current_setting('synchronous_commit') <> 'off' AS synchronous_commit,
    pg_is_in_recovery() AS is_replica,
    current_setting('default_transaction_read_only')::bool AS is_read_only,
    current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0) AS connections,
    (
        SELECT count(*)::int FROM pg_stat_activity
        WHERE pid <> pg_backend_pid()
            -- Of other roles' sessions a plain role sees neither kind nor name, but the database.
            AND (backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL))
            -- This deployment's workers, whose pools are counted in full: `celeriac name@host`.
            AND NOT (
                datname = current_database() AND coalesce(application_name, '') LIKE 'celeriac %%@%%'
            )
    ) AS others
