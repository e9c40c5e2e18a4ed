-- Part of an upsert: the row that its key had when the statement began.
SELECT FROM {table} AS celeriac_before WHERE {is_same}
