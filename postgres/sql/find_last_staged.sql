SELECT coalesce(max(celeriac_number), 0) FROM pg_temp.celeriac_chunk
