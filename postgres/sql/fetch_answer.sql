FETCH FORWARD %(limit)s FROM celeriac_answer
