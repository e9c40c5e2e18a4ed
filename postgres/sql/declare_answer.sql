DECLARE celeriac_answer NO SCROLL CURSOR FOR
{query}
