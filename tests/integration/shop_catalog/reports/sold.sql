/* celeriac
title = "What stands in alpha"
format = "csv"

[params.least]
type = "bigint"
*/
SELECT n, note FROM shop.alpha WHERE :least IS NULL OR n >= :least ORDER BY n, note
