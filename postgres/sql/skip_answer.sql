MOVE FORWARD ALL IN celeriac_answer
