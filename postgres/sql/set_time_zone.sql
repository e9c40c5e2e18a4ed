SELECT set_config('TimeZone', %(zone)s, true)
