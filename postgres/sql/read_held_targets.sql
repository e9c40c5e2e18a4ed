SELECT target_hold.target, target_hold.reason, target_hold.created_at, count(job.id)
FROM celeriac.target_hold
LEFT JOIN celeriac.job ON job.state = 'held'
    AND target_hold.target = ANY (job.subject || string_to_array(job.subject, ','))
GROUP BY target_hold.target, target_hold.reason, target_hold.created_at
ORDER BY target_hold.target
