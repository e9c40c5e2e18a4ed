"""How delays grow through the day: a report in Python.

celeriac
title = "How delays grow through the day"
description = "Departure delays by scheduled hour: what half, and nine in ten, stay below."
format = "html"

[params.origin]
type = "enum"
values = ["EWR", "JFK", "LGA"]

[params.shares]
type = "numeric[]"
default = [0.5, 0.9]
min = 0
max = 1
max_length = 5
"""

import altair as alt

LATE_MINUTES = 15
DELAYS = """
SELECT origin, hour, dep_delay
FROM public.flights
WHERE dep_delay IS NOT NULL AND (:origin IS NULL OR origin = :origin)
"""


def report(read, origin, shares):
    """Return what the delays say in words, as a chart, and as a table."""
    delays = read(DELAYS, origin=origin)
    if delays.empty:
        return "No flight left."
    by_hour = delays.groupby("hour")["dep_delay"]
    # One row an hour, one column a share: the form that people read.
    table = by_hour.quantile([float(share) for share in shares]).unstack().round(1)
    table.columns = [f"{share:.0%} below" for share in table.columns]
    long = table.reset_index().melt("hour", var_name="share", value_name="minutes")
    table.insert(0, "flights", by_hour.size())
    return {
        "In words": words(delays, table),
        "Through the day": chart(long),
        "By hour": table.reset_index(),
    }


def words(delays, table):
    """Say which hour is the best to leave, and how the airports differ."""
    late = (delays["dep_delay"] > LATE_MINUTES).groupby(delays["origin"]).mean()
    airports = ", ".join(f"{origin} {share:.0%}" for origin, share in late.items())
    best, worst = table.iloc[:, -1].idxmin(), table.iloc[:, -1].idxmax()
    return (
        f"Whoever wants to leave in time leaves at {best}; {worst} is the hour to avoid.\n\n"
        f"More than {LATE_MINUTES} minutes late left: {airports}."
    )


def chart(long):
    """Draw one line a share."""
    return (
        alt.Chart(long, title="Departure delay by scheduled hour, minutes")
        .properties(width=680)
        .mark_line(point=True)
        .encode(x="hour:O", y="minutes:Q", color="share:N")
    )
