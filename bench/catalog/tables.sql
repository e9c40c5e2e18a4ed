-- One row a job. A second run of a job would break the primary key or add to the count.
CREATE TABLE public.bench_rows (
    id     bigint PRIMARY KEY,
    name   text NOT NULL,
    amount numeric NOT NULL,
    at     timestamptz NOT NULL,
    note   text NOT NULL
);
