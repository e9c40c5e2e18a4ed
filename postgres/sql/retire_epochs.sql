-- Forget the closed epochs of which no job is left.
DELETE FROM celeriac.relay_epoch
WHERE remembered IS NOT NULL
    AND NOT EXISTS (SELECT FROM celeriac.outbox WHERE outbox.epoch = relay_epoch.epoch)
RETURNING epoch::text
