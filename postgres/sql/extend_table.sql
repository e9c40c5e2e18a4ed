-- Half a megabyte of new pages, more than a nearly full disk has left by chance.
CREATE TEMPORARY TABLE celeriac_room ON COMMIT DROP AS
SELECT pg_catalog.repeat(pg_catalog.md5(number::pg_catalog.text), 60) AS page
FROM pg_catalog.generate_series(1, 256) AS number
