UPDATE celeriac.relay_epoch SET seen_at = clock_timestamp()
WHERE epoch = %(epoch)s AND closed_at IS NULL
