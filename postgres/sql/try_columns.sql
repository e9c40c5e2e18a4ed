SELECT {columns} FROM jsonb_to_record(%(row)s::jsonb) AS row_in ({definitions})
