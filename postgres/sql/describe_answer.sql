FETCH 0 FROM celeriac_answer
