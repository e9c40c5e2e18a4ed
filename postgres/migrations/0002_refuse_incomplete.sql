-- One statement that writes the ledger and the targets of many jobs undoes itself by this
-- when what it wrote is not what the jobs brought. Harmless in anybody's hands: it only raises.
CREATE FUNCTION celeriac.refuse(reason text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'CE001', MESSAGE = reason;
END
$$;

COMMENT ON FUNCTION celeriac.refuse IS 'Raises CE001: undoes a statement that wrote less than it should.';
