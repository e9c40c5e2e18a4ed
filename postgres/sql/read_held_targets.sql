SELECT target_hold.target, target_hold.reason, target_hold.created_at, count(job.id)
FROM celeriac.target_hold
LEFT JOIN celeriac.job ON job.subject = target_hold.target AND job.state = 'held'
GROUP BY target_hold.target, target_hold.reason, target_hold.created_at
ORDER BY target_hold.target
