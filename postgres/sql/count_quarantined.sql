SELECT
    selected.target, selected.sqlstate, selected.column_name, selected.state,
    (array_agg(selected.message ORDER BY selected.id))[1],
    count(*), min(selected.created_at), max(selected.created_at), max(selected.id)
FROM ({selected}) AS selected
GROUP BY selected.target, selected.sqlstate, selected.column_name, selected.state
ORDER BY selected.target, count(*) DESC, selected.sqlstate, selected.column_name, selected.state
