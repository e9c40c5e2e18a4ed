CREATE SCHEMA IF NOT EXISTS depot;

-- What the application stores itself.
CREATE TABLE IF NOT EXISTS depot.shipment (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sender text NOT NULL
);

-- What jobs store.
CREATE TABLE IF NOT EXISTS depot.parcel (
    code     text PRIMARY KEY,
    grams    integer NOT NULL CHECK (grams > 0),
    shipment integer NOT NULL REFERENCES depot.shipment
);
CREATE TABLE IF NOT EXISTS depot.scan (
    code       text NOT NULL,
    grams      integer NOT NULL,
    scanned_at timestamptz NOT NULL DEFAULT now()
);
