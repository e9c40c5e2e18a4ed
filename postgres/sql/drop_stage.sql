DROP TABLE pg_temp.celeriac_chunk
