-- Gone with the transaction, and with it all that pgbouncer would have to remember.
CREATE TEMPORARY TABLE celeriac_chunk (
    {definitions}, celeriac_number bigint GENERATED ALWAYS AS IDENTITY
) ON COMMIT DROP
