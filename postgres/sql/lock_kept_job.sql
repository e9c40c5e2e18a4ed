-- A worker that claims the job meanwhile waits for us, and then sees what we made of it.
SELECT task, state, error, payload FROM celeriac.job WHERE id = %(id)s FOR UPDATE
