-- Tables of the tests' own catalog. `xact` is PostgreSQL's word on which transaction wrote a
-- row: unlike xmin it names the whole transaction, whatever savepoint the row came in under.
CREATE SCHEMA shop;

CREATE TABLE shop.customer (
    id   int PRIMARY KEY,
    name text NOT NULL
);

CREATE TABLE shop.item (
    id       int PRIMARY KEY,
    name     text NOT NULL,
    price    numeric CHECK (price >= 0),
    code     text UNIQUE,
    customer int REFERENCES shop.customer,
    xact     bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint
);

CREATE TABLE shop.value (
    job    text NOT NULL,
    amount numeric,
    whole  numeric,
    ratio  double precision,
    day    date,
    at     timestamptz,
    local  timestamp,
    clock  time,
    uid    uuid,
    raw    bytea,
    note   text,
    extra  jsonb
);

CREATE TABLE shop.alpha (
    n    int NOT NULL,
    note text,
    xact bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint
);
CREATE TABLE shop.beta (LIKE shop.alpha INCLUDING DEFAULTS);
CREATE TABLE shop.gamma (LIKE shop.alpha INCLUDING DEFAULTS);

-- Its rows go in only while nobody holds the gate: a test that does keeps a child busy.
CREATE TABLE shop.gate (n int NOT NULL);
CREATE FUNCTION shop.pass_the_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(4711);
    RETURN NULL;
END
$$;
CREATE TRIGGER pass_the_gate BEFORE INSERT ON shop.gate
    FOR EACH STATEMENT EXECUTE FUNCTION shop.pass_the_gate();
