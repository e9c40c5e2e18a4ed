-- A row without a schedule tells the time where there are none.
SELECT now.at, known.report, known.cron, known.timezone, known.decided_until
FROM (SELECT clock_timestamp() AS at) AS now
LEFT JOIN celeriac.schedule AS known ON known.report = ANY(%(reports)s::text[])
