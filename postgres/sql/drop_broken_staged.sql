DELETE FROM pg_temp.celeriac_chunk WHERE celeriac_number = ANY (%(numbers)s::bigint[])
