-- Flower's metrics count the rows in quarantine by target and reason, again and again: without an
-- index each look would read the whole rows.
CREATE INDEX quarantine_reasons ON celeriac.quarantine (target, sqlstate) WHERE state = 'quarantined';
