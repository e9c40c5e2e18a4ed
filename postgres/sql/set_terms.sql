-- Under which terms a report reads; what is not set stays as the session has it.
SELECT
    CASE WHEN %(lock_ms)s IS NOT NULL
        THEN set_config('lock_timeout', %(lock_ms)s::bigint::text, true) END,
    CASE WHEN %(work_mem)s IS NOT NULL THEN set_config('work_mem', %(work_mem)s, true) END,
    CASE WHEN %(role)s IS NOT NULL THEN set_config('role', %(role)s, true) END
