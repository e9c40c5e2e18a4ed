"""A queue that is a table: Procrastinate's."""

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import psycopg2
import psycopg2.extras

from bench.queues import Queue


class TableQueue(Queue):
    """A table in PostgreSQL whose triggers tell the workers."""

    def __init__(self, url: str) -> None:
        self._url = url

    def take(self) -> list[Any]:
        with closing(psycopg2.connect(self._url)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT queue_name, task_name, priority, args::text "
                "FROM procrastinate_jobs ORDER BY id"
            )
            return cursor.fetchall()

    def hold(self, messages: Sequence[Any]) -> None:
        with closing(psycopg2.connect(self._url)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE bench_held (number serial, queue_name text, task_name text, "
                "priority integer, args jsonb)"
            )
            psycopg2.extras.execute_values(
                cursor,
                "INSERT INTO bench_held (queue_name, task_name, priority, args) VALUES %s",
                messages,
            )
            connection.commit()

    def release(self) -> None:
        self._insert(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args) "
            "SELECT queue_name, task_name, priority, args FROM bench_held ORDER BY number;"
            # What autovacuum would find out a minute later, when the drain is over.
            "ANALYZE procrastinate_jobs",
            (),
        )

    def push(self, messages: Sequence[Any]) -> None:
        for message in messages:
            self._insert(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args) "
                "VALUES (%s, %s, %s, %s)",
                message,
            )

    def _insert(self, text: str, values: Sequence[Any]) -> None:
        with closing(psycopg2.connect(self._url)) as connection, connection.cursor() as cursor:
            cursor.execute(text, values or None)
            connection.commit()
