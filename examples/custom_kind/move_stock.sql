UPDATE shop.stock SET on_hand = on_hand + %(change)s
WHERE sku = %(sku)s
RETURNING on_hand
