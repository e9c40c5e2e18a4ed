SET LOCAL statement_timeout = %(timeout_ms)s
