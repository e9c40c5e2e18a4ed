-- Say that a scheduler is there, and which schedules it knows. What is new begins now: what it would
-- have had before is nobody's loss. So does one that was away, which schedulers were there without.
WITH present AS (
    -- First, so that of two schedulers the second waits here, and never in the middle.
    INSERT INTO celeriac.schedule_watch AS before (watched, at)
    VALUES (interval '0', clock_timestamp())
    ON CONFLICT (is_only) DO UPDATE SET
        at = excluded.at,
        -- Only what was really watched: a longer pause, or a clock that was set, was an outage.
        watched = before.watched + CASE
            WHEN excluded.at - before.at BETWEEN interval '0' AND %(longest_pause)s::interval
                THEN excluded.at - before.at
            ELSE interval '0'
        END
    RETURNING watched, at
)

INSERT INTO celeriac.schedule AS known (report, cron, timezone, decided_until, watched)
SELECT planned.report, planned.cron, planned.timezone, present.at, present.watched
FROM present, unnest(%(reports)s::text[], %(crons)s::text[], %(timezones)s::text[])
    AS planned (report, cron, timezone)
ORDER BY planned.report COLLATE "C", planned.cron, planned.timezone
ON CONFLICT (report, cron, timezone) DO UPDATE SET
    watched = excluded.watched,
    decided_until = CASE
        WHEN known.watched < excluded.watched - %(away)s::interval
            -- What was decided stays decided, also for a clock that was set back.
            THEN greatest(known.decided_until, excluded.decided_until)
        ELSE known.decided_until
    END
