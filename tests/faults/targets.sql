-- The oracle's own targets; load once into a fresh database. Ids sort as in the ledger, so
-- that joins with it can use either index.
CREATE SCHEMA faults;

-- Without any unique key: a row written twice stays twice. The index is for looking only.
CREATE TABLE faults.entry (
    job text COLLATE "C" NOT NULL,
    row int NOT NULL,
    amount int NOT NULL,
    note text
) WITH (autovacuum_enabled = false);
CREATE INDEX entry_job ON faults.entry (job);

CREATE TABLE faults.keyed (
    job text COLLATE "C" NOT NULL,
    row int NOT NULL,
    amount int NOT NULL,
    PRIMARY KEY (job, row)
) WITH (autovacuum_enabled = false);

CREATE TABLE faults.account (
    id int PRIMARY KEY,
    balance bigint NOT NULL DEFAULT 0
);
INSERT INTO faults.account (id) SELECT generate_series(1, 16);

CREATE TABLE faults.movement (
    job text COLLATE "C" NOT NULL,
    row int NOT NULL,
    account int NOT NULL,
    amount int NOT NULL
) WITH (autovacuum_enabled = false);
CREATE INDEX movement_job ON faults.movement (job);

-- The effect that no upsert can hide: each movement adds to a balance. Accounts are
-- locked in the order of their ids, so that two batches wait instead of deadlocking.
CREATE FUNCTION faults.add_to_balances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM faults.account
     WHERE id IN (SELECT account FROM arrived)
     ORDER BY id FOR NO KEY UPDATE;
    UPDATE faults.account
       SET balance = balance + added.amount
      FROM (SELECT account, sum(amount) AS amount FROM arrived GROUP BY account) AS added
     WHERE id = added.account;
    RETURN NULL;
END
$$;
CREATE TRIGGER add_to_balances AFTER INSERT ON faults.movement
    REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION faults.add_to_balances();
