SELECT {keys} FROM row_in WHERE {keys_are_whole}
