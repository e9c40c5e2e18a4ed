-- Tables that files are loaded into: one for each way in which a chunk goes in.
CREATE SCHEMA depot;

CREATE TABLE depot.place (id int PRIMARY KEY);
INSERT INTO depot.place SELECT generate_series(0, 9);

CREATE TABLE depot.parcel (
    id     int NOT NULL,
    weight numeric CHECK (weight >= 0),
    note   text,
    place  int REFERENCES depot.place DEFERRABLE INITIALLY DEFERRED,
    xact   bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint
);
CREATE TABLE depot.first_parcel (LIKE depot.parcel INCLUDING ALL, PRIMARY KEY (id));
CREATE TABLE depot.last_parcel (LIKE depot.parcel INCLUDING ALL, PRIMARY KEY (id));
CREATE TABLE depot.document (id int PRIMARY KEY, body jsonb, tags text[]);

-- Its rows go in only while nobody holds the gate: a test that does keeps a child busy.
CREATE TABLE depot.gated (id int NOT NULL, weight numeric, note text);
CREATE FUNCTION depot.pass_the_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(4712);
    RETURN NULL;
END
$$;
CREATE TRIGGER pass_the_gate BEFORE INSERT ON depot.gated
    FOR EACH STATEMENT EXECUTE FUNCTION depot.pass_the_gate();

CREATE TABLE depot.event (
    number   int PRIMARY KEY,
    source   text NOT NULL,
    colour   text,
    at       timestamptz NOT NULL,
    rest     jsonb,
    job      text,
    batch    bigint,
    xact     bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint
);
