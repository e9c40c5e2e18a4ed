/* celeriac
title = "Stock"
format = "csv"
*/
SELECT sku, on_hand FROM shop.stock ORDER BY sku
