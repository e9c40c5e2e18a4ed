DELETE FROM celeriac.target_hold WHERE target = %(target)s
