-- Jobs of one file, by the beginning that their ids share.
SELECT id, state, rows FROM celeriac.job
WHERE id COLLATE "C" >= %(prefix)s AND id COLLATE "C" < %(prefix)s || '~'
ORDER BY id
