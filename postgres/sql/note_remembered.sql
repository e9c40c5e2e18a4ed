UPDATE celeriac.relay_epoch SET remembered = %(remembered)s
WHERE epoch = %(epoch)s AND closed_at IS NOT NULL
