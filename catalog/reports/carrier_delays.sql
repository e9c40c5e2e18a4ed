/* celeriac
title = "Delays by carrier"
description = "How late each carrier leaves and arrives, in minutes, and how often it does not leave at all. A flight counts as delayed when it arrives more than 15 minutes late."
format = "html"

[params.origin]
type = "text"

[chart]
kind = "bar"
x = "carrier"
y = "mean_dep_delay"
title = "Mean departure delay, minutes"
*/
SELECT carrier,
       count(*) AS flights,
       -- A flight that never left has no departure delay.
       count(*) FILTER (WHERE dep_delay IS NULL) AS cancelled,
       round(avg(dep_delay)::numeric, 1) AS mean_dep_delay,
       round(avg(arr_delay)::numeric, 1) AS mean_arr_delay,
       round(100.0 * count(*) FILTER (WHERE arr_delay > 15) / nullif(count(arr_delay), 0), 1)
           AS percent_delayed
FROM public.flights
WHERE :origin IS NULL OR origin = :origin
GROUP BY carrier
ORDER BY mean_dep_delay DESC NULLS LAST, carrier;
