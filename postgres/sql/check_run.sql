SELECT EXISTS (
    SELECT FROM celeriac.report_run WHERE job_id = %(job_id)s AND expired_at IS NULL
)
