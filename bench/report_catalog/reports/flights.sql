/* celeriac
title = "Flights"
format = "csv"
timeout = "30 min"

[params.rows]
type = "bigint"
required = true
*/
SELECT * FROM public.bench_report_flights LIMIT :rows
