/* celeriac
title = "Prices"
description = "How many products there are in each range of 10, and what they cost on average."
format = "html"

[params.at_least]
type = "numeric"

[chart]
kind = "bar"
x = "from_price"
y = "products"
*/
SELECT 10 * floor(price / 10) AS from_price,
       count(*) AS products,
       round(avg(price), 2) AS mean_price
FROM public.shop_product
WHERE :at_least IS NULL OR price >= :at_least
GROUP BY from_price
ORDER BY from_price;
