-- Part of a merge: rows that COPY brought; they are numbered in its order.
SELECT {values}, celeriac_number FROM {source}
