# %% [markdown]
# # From one table to another, through pandas
#
# Open this file as a notebook (VS Code, Spyder and Jupytext know the cells), or
# run it whole, beside a running `make run`:
#
#     . var/env && .venv/bin/python examples/pandas_notebook.py
#
# It needs pandas, SQLAlchemy and the client. Run it twice: each job has the
# same id again, and nothing happens a second time.

# %%
import os

import pandas as pd
from sqlalchemy import create_engine, make_url, text

from celeriac import Client

url = make_url(os.environ["CELERIAC_DATABASE_URL"])
engine = create_engine(url.set(drivername="postgresql+psycopg2"))
client = Client(os.environ["CELERIAC_BROKER_URL"], os.environ["CELERIAC_RESULT_URL"])

# %% [markdown]
# `dep_delay` is missing for flights that never left. Plain pandas would make
# its whole column floating point, and `2.0` is no `smallint`: `numpy_nullable`
# keeps whole numbers whole, and what is missing missing.

# %%
flights = pd.read_sql_query(
    text("SELECT time_hour, carrier, flight, origin, dest, dep_delay FROM public.flights"),
    engine,
    dtype_backend="numpy_nullable",
)
print(len(flights), "flights")

# %% [markdown]
# Work on the frame as on any other. Here: of flights that come twice, the later one counts.

# %%
key = ["time_hour", "carrier", "flight", "origin"]
latest = flights.sort_values("dep_delay").drop_duplicates(key, keep="last")

# %% [markdown]
# Send it. Rows travel as jobs of 1,000; `track=True` asks for their results.

# %%
sent = client.ingest_many("departures", latest, rows_per_job=1000, track=True, id="pandas-notebook")
print(sent.rows, "rows in", sent.jobs, "jobs")

# %%
answers = pd.DataFrame([client.ticket(job_id).wait(60) for job_id in sent.ids])
print(answers.sum().to_string())

# %%
client.close()
engine.dispose()
