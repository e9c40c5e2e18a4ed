-- Of the larger of the two tables that a sweep goes through.
SELECT greatest(pg_relation_size('celeriac.job'), pg_relation_size('celeriac.outbox'))
    / current_setting('block_size')::integer
