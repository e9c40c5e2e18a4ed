/* celeriac
title = "Weight by sender"
format = "csv"
*/
SELECT sender, count(*) AS parcels, sum(grams) AS grams
FROM depot.parcel JOIN depot.shipment ON shipment = number
GROUP BY sender
ORDER BY sender
