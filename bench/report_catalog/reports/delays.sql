/* celeriac
title = "Delays of a few hundred flights, by carrier"
format = "csv"

[params.first]
type = "bigint"
required = true
*/
SELECT carrier, count(*) AS flights, round(avg(dep_delay), 2) AS delay, max(distance) AS farthest
FROM public.bench_flights
WHERE id >= :first AND id < :first + 300
GROUP BY carrier
ORDER BY carrier
