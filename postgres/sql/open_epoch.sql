INSERT INTO celeriac.relay_epoch (epoch, relay) VALUES (%(epoch)s, %(relay)s)
