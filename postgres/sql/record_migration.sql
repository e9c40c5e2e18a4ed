INSERT INTO celeriac.migration (number, name) VALUES (%(number)s, %(name)s)
