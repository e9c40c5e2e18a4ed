SET LOCAL temp_tablespaces = ''
