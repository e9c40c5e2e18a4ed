"""Read a query by pandas and write it to a file, as people do: all of it in memory.

``python -m bench.pandas_report URL QUERY csv|parquet PATH`` prints rows and seconds,
which begin when pandas is loaded and end when the file is on the disk.
"""

import os
import sys
import time
import warnings
from contextlib import closing

import pandas as pd
import psycopg2


def main(url: str, query: str, format_: str, path: str) -> None:
    """Write one file."""
    # It prefers SQLAlchemy, which takes longer to give the same rows.
    warnings.filterwarnings("ignore", message="pandas only supports SQLAlchemy")
    began = time.monotonic()
    with closing(psycopg2.connect(url)) as connection:
        frame = pd.read_sql_query(query, connection)
    if format_ == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    with open(path, "rb") as file:  # noqa: PTH123 - to sync what another has written
        os.fsync(file.fileno())
    print(len(frame), time.monotonic() - began)


if __name__ == "__main__":
    main(*sys.argv[1:])
