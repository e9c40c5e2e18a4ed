/* celeriac
title = "Flights in a workbook"
description = "The month by carrier, by day and by destination, and its longest delays, a sheet each. All sheets show the same instant."
format = "xlsx"
max_rows = 100000

[params.origins]
type = "text[]"
max_length = 20

[params.longest]
type = "int"
default = 50
min = 1
max = 1000

[charts.by_day]
kind = "line"
x = "day"
y = "flights"
title = "Flights a day"
*/

-- name: by_carrier
SELECT carrier,
       count(*) AS flights,
       count(*) FILTER (WHERE dep_delay IS NULL) AS cancelled,
       round(avg(dep_delay), 1) AS mean_dep_delay,
       round(avg(arr_delay), 1) AS mean_arr_delay
FROM public.flights
WHERE :origins IS NULL OR origin = ANY (:origins)
GROUP BY carrier
ORDER BY flights DESC, carrier;

-- name: by_day
SELECT make_date(year, month, day) AS day,
       count(*) AS flights,
       count(*) FILTER (WHERE dep_delay IS NULL) AS cancelled,
       round(avg(dep_delay), 1) AS mean_dep_delay
FROM public.flights
WHERE :origins IS NULL OR origin = ANY (:origins)
GROUP BY year, month, day
ORDER BY day;

-- name: by_destination
SELECT dest,
       count(*) AS flights,
       count(DISTINCT carrier) AS carriers,
       max(distance) AS miles,
       round(avg(arr_delay), 1) AS mean_arr_delay
FROM public.flights
WHERE :origins IS NULL OR origin = ANY (:origins)
GROUP BY dest
ORDER BY flights DESC, dest;

-- name: longest_delays
SELECT time_hour + minute * interval '1 minute' AS scheduled,
       carrier || ' ' || flight AS flight,
       origin,
       dest,
       dep_delay
FROM public.flights
WHERE dep_delay IS NOT NULL
  AND (:origins IS NULL OR origin = ANY (:origins))
ORDER BY dep_delay DESC, scheduled, flight
LIMIT :longest;
