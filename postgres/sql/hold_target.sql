INSERT INTO celeriac.target_hold (target, reason) VALUES (%(target)s, %(reason)s)
ON CONFLICT (target) DO NOTHING
