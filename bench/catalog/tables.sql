-- One row a job. A second run of a job would break the primary key or add to the count.
CREATE TABLE public.bench_rows (
    id     bigint PRIMARY KEY,
    name   text NOT NULL,
    amount numeric NOT NULL,
    at     timestamptz NOT NULL,
    note   text NOT NULL
);

-- An outbox as a team writes it for itself: with its INSERT is compared what an enqueue costs.
CREATE TABLE public.bench_outbox (
    id     text COLLATE "C" PRIMARY KEY DEFAULT uuidv7()::text,
    task   text NOT NULL,
    kwargs jsonb NOT NULL,
    run_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX bench_outbox_due ON public.bench_outbox (run_at);

-- What file jobs write to, with every kind of rule that a row can break.
CREATE TABLE public.bench_carriers (carrier text PRIMARY KEY);
INSERT INTO public.bench_carriers
SELECT unnest('{9E,AA,AS,B6,DL,EV,F9,FL,HA,MQ,OO,UA,US,VX,WN,YV}'::text[]);
CREATE TABLE public.bench_flights (
    id             bigint PRIMARY KEY,
    year           smallint NOT NULL,
    month          smallint NOT NULL CHECK (month BETWEEN 1 AND 12),
    day            smallint NOT NULL CHECK (day BETWEEN 1 AND 31),
    dep_time       smallint,
    sched_dep_time smallint NOT NULL,
    dep_delay      smallint,
    arr_time       smallint,
    sched_arr_time smallint NOT NULL,
    arr_delay      smallint,
    carrier        text NOT NULL REFERENCES public.bench_carriers,
    flight         integer NOT NULL,
    tailnum        text,
    origin         text NOT NULL,
    dest           text NOT NULL,
    air_time       smallint,
    distance       integer NOT NULL,
    hour           smallint NOT NULL,
    minute         smallint NOT NULL,
    time_hour      timestamptz NOT NULL
);
CREATE INDEX bench_flights_by_hour ON public.bench_flights (time_hour);
