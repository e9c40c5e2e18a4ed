-- The table that the demo's target `flights` writes to; the columns are those of nycflights13.

CREATE TABLE IF NOT EXISTS public.flights (
    year           smallint NOT NULL,
    month          smallint NOT NULL CHECK (month BETWEEN 1 AND 12),
    day            smallint NOT NULL CHECK (day BETWEEN 1 AND 31),
    dep_time       smallint, -- null: the flight was cancelled
    sched_dep_time smallint NOT NULL,
    dep_delay      smallint,
    arr_time       smallint,
    sched_arr_time smallint NOT NULL,
    arr_delay      smallint,
    carrier        text NOT NULL,
    flight         integer NOT NULL,
    tailnum        text,
    origin         text NOT NULL,
    dest           text NOT NULL,
    air_time       smallint,
    distance       integer NOT NULL,
    hour           smallint NOT NULL,
    minute         smallint NOT NULL,
    time_hour      timestamptz NOT NULL,

    PRIMARY KEY (time_hour, carrier, flight, origin)
);

-- The table that the demo's target `departures` writes to, from a file.
CREATE TABLE IF NOT EXISTS public.departures (
    scheduled     timestamptz NOT NULL,
    carrier       text NOT NULL,
    flight        integer NOT NULL,
    origin        text NOT NULL,
    dest          text NOT NULL,
    -- Null: the flight was cancelled. Longer delays are looked at by somebody before they count.
    delay_minutes smallint CHECK (delay_minutes < 1080),

    PRIMARY KEY (scheduled, carrier, flight, origin)
);
