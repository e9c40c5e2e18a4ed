-- A table with every sort of rule that a row can break, and a seed for those that need company.
CREATE SCHEMA corpus;
CREATE TYPE corpus.mood AS ENUM ('glad', 'sad');
CREATE DOMAIN corpus.percent AS integer CHECK (VALUE BETWEEN 0 AND 100);
CREATE FUNCTION corpus.is_even(number integer) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    IF number % 2 <> 0 THEN
        RAISE EXCEPTION 'odd: %', number USING ERRCODE = '22023';
    END IF;
    RETURN true;
END
$$;
CREATE DOMAIN corpus.even AS integer CHECK (corpus.is_even(VALUE));

CREATE TABLE corpus.customer (id integer PRIMARY KEY);
CREATE TABLE corpus.branch (region text, number integer, PRIMARY KEY (region, number));

CREATE TABLE corpus.thing (
    id       integer PRIMARY KEY,
    label    text NOT NULL,
    small    smallint,
    amount   numeric(6, 2) CHECK (amount >= 0 AND amount % 1 <> 0.13),
    ratio    real,
    day      date,
    at       timestamptz,
    clock    time,
    code     varchar(5) UNIQUE,
    bits     bit(3),
    flag     boolean,
    uid      uuid,
    mood     corpus.mood,
    span     int4range,
    extra    jsonb,
    document json,
    list     integer[],
    percent  corpus.percent,
    even     corpus.even,
    long     text,
    customer integer REFERENCES corpus.customer DEFERRABLE INITIALLY DEFERRED,
    parent   integer REFERENCES corpus.thing,
    region   text,
    branch   integer,
    slot     tsrange,
    doubled  integer GENERATED ALWAYS AS (id * 2) STORED,
    serial   integer GENERATED ALWAYS AS IDENTITY,
    FOREIGN KEY (region, branch) REFERENCES corpus.branch MATCH FULL,
    EXCLUDE USING gist (slot WITH &&)
);
CREATE INDEX ON corpus.thing (long);
CREATE UNIQUE INDEX ON corpus.thing (lower(label)) WHERE label LIKE 'Only %';
ALTER TABLE corpus.thing ADD CONSTRAINT late CHECK (small <> 13) NOT VALID;

CREATE FUNCTION corpus.judge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.label LIKE 'raise _____' THEN
        RAISE EXCEPTION 'a trigger says no' USING ERRCODE = substr(NEW.label, 7);
    END IF;
    RETURN CASE WHEN NEW.label IS DISTINCT FROM 'kept out' THEN NEW END;
END
$$;
CREATE TRIGGER judge BEFORE INSERT ON corpus.thing FOR EACH ROW EXECUTE FUNCTION corpus.judge();

INSERT INTO corpus.customer VALUES (1);
INSERT INTO corpus.branch VALUES ('north', 1);
INSERT INTO corpus.thing (id, label, code, slot)
VALUES (0, 'Only one', 'taken', '[2024-01-01, 2024-02-01)');
