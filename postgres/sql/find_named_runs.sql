-- By the end of their URLs: the same folder may have another name on another machine.
SELECT substring(url FROM '[^/]+/[^/]+$') AS place
FROM celeriac.report_run
WHERE removed_at IS NULL AND substring(url FROM '[^/]+/[^/]+$') = ANY (%(places)s::text[])
