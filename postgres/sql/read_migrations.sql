SELECT number FROM celeriac.migration
