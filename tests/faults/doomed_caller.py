"""An application that is killed: ``python -m tests.faults.doomed_caller FIRST``.

Each of its transactions writes a number of its own and enqueues a job with
the same number; every third is rolled back. It says on a line of its output
when it is about to commit a number, and when COMMIT has returned.
"""

import os
import sys
from itertools import count

import psycopg2

from celeriac import outbox

#: By which PostgreSQL knows its connections.
NAME = "doomed caller"


def main(first: int) -> None:
    """Go on until somebody kills us."""
    connection = psycopg2.connect(os.environ["CELERIAC_DATABASE_URL"], application_name=NAME)
    cursor = connection.cursor()
    for number in count(first):
        cursor.execute("INSERT INTO shop.ordered VALUES (%s)", (number,))
        outbox(connection).ingest("alpha", {"n": number}, track=False)
        if number % 3 == 0:
            connection.rollback()
            continue
        print("committing", number, flush=True)
        connection.commit()
        print("committed", number, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
