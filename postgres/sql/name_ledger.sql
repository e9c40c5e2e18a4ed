SELECT id::text FROM celeriac.ledger_identity
