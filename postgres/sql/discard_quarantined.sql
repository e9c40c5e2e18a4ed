UPDATE celeriac.quarantine SET state = 'discarded', closed_at = now()
WHERE id = ANY (%(ids)s::bigint[]) AND state = 'quarantined'
