UNION
SELECT celeriac_number FROM (
    SELECT celeriac_number, row_number() OVER (PARTITION BY {key} ORDER BY celeriac_number) AS rank
    FROM judged WHERE NOT celeriac_is_broken AND {key_is_whole}
) AS ranked WHERE rank > 1
