SELECT pg_relation_size('celeriac.job') / current_setting('block_size')::integer
