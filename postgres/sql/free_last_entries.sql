-- Those too whose worker's transaction was undone after all.
UPDATE celeriac.outbox SET epoch = NULL, push = NULL
WHERE epoch = %(epoch)s AND push > %(remembered)s
