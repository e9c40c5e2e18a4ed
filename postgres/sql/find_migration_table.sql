SELECT to_regclass('celeriac.migration') IS NOT NULL
