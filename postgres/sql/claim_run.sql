-- Nobody else runs the job while this session lives; the state is as the ledger has it now.
SELECT
    pg_try_advisory_lock(%(space)s, hashtext(%(job_id)s)),
    (SELECT state FROM celeriac.job WHERE id = %(job_id)s)
