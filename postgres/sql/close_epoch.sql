-- Waits for a claim that is under way; from then on the epoch claims nothing.
UPDATE celeriac.relay_epoch SET closed_at = coalesce(closed_at, clock_timestamp()), remembered = NULL
WHERE epoch = %(epoch)s
