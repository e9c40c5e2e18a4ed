"""The client: one object for all threads of a process, connected when first used."""

import math
import uuid
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from celeriac.catalog import Catalog
from celeriac.connection import deadline
from celeriac.contract import CATALOG_KEY, INGEST, QUEUES, REPORT
from celeriac.errors import BadSetting, BrokerUnavailable, ResultsElsewhere
from celeriac.message import Message, new_id, write_body, write_message
from celeriac.payload import (
    Row,
    check_body,
    check_id,
    check_name,
    check_params,
    check_rows,
    write_arguments,
)
from celeriac.server import Server
from celeriac.ticket import KEPT_MESSAGE_BYTES, Sent, Ticket
from celeriac.urls import parse_url


class Client:
    """Enqueue jobs and follow them.

    ``result_url`` may be left out where workers keep results on the broker's
    own server. Every call ends within ``timeout`` seconds, broker up or not;
    only :meth:`Ticket.wait` takes longer, as long as it is told.
    """

    def __init__(
        self,
        url: str,
        result_url: str | None = None,
        *,
        timeout: float = 2.0,
        key_prefix: str = "",
    ) -> None:
        if not (timeout > 0 and math.isfinite(timeout)):
            raise BadSetting(f"timeout must be a number of seconds above 0, got {timeout!r}")
        self._timeout = timeout
        self._prefix = key_prefix
        self._broker = Server(parse_url(url), timeout)
        self._catalog = Catalog(self._broker, key_prefix + CATALOG_KEY)
        self._given_results = Server(parse_url(result_url), timeout) if result_url else None
        self._derived_results: dict[int, Server] = {self._broker.address.db: self._broker}
        self._reply_to = str(uuid.uuid4())

    def ingest(
        self,
        target: str,
        row_or_rows: Row | Iterable[Row],
        *,
        id: str | None = None,  # noqa: A002 - its name everywhere
        track: bool = True,
    ) -> Ticket:
        """Enqueue rows for a target; with ``track=False`` no result is written.

        Sent again under the same ``id``, the same rows have their effect once.
        """
        rows = check_rows(row_or_rows)
        arguments = {"target": check_name("target", target), "rows": rows}
        message = self._message(INGEST, arguments, _describe(target, _count(rows)), id, track=track)
        with deadline(self._timeout):
            self._catalog.check_target(target)
            return self._push(message)

    def report(
        self,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        format: str | None = None,  # noqa: A002 - its name on the wire
        id: str | None = None,  # noqa: A002 - its name everywhere
        track: bool = True,
    ) -> Ticket:
        """Enqueue a report; the worker knows its parameters and its usual format."""
        arguments: dict[str, Any] = {"name": check_name("name", name)}
        if params is not None:
            arguments["params"] = check_params(params)
        if format is not None:
            arguments["format"] = check_name("format", format)
        message = self._message(REPORT, arguments, _describe(name, format), id, track=track)
        with deadline(self._timeout):
            self._catalog.check_report(name)
            return self._push(message)

    def ticket(self, id: str) -> Ticket:  # noqa: A002 - its name everywhere
        """Return the ticket of a job enqueued before, by anyone."""
        return Ticket(check_id(id), self._results)

    def close(self) -> None:
        """Close idle connections; a later call would open them again."""
        given = [self._given_results] if self._given_results else []
        for server in [*self._derived_results.values(), *given]:
            server.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _message(
        self,
        task: str,
        arguments: Mapping[str, Any],
        words: str,
        job_id: str | None,
        *,
        track: bool,
    ) -> Message:
        return Message(
            id=new_id() if job_id is None else check_id(job_id),
            task=task,
            queue=QUEUES[task],
            body=check_body(write_body(write_arguments(arguments))),
            description=words,
            track=track,
            reply_to=self._reply_to,
        )

    def _push(self, message: Message) -> Ticket:
        key = self._prefix + message.queue
        raw = write_message(message)
        try:
            self._broker.ask(f"LPUSH {key}", lambda redis: redis.lpush(key, raw))
        except BrokerUnavailable as error:
            raise BrokerUnavailable(f"{error}, job {message.id}", message.id) from error.__cause__
        kept = raw if len(raw) <= KEPT_MESSAGE_BYTES else None
        return Ticket(message.id, self._results, Sent(self._broker, key, kept, message.track))

    def _results(self) -> Server:
        """Find where results are: as told, as workers published, else beside the queues."""
        if self._given_results is not None:
            return self._given_results
        published = self._catalog.published()
        if published is None:
            return self._broker
        db = published.result_db
        if db is None:
            raise ResultsElsewhere("workers keep results on another server, pass its result_url")
        if db not in self._derived_results:
            address = self._broker.address.with_database(db)
            self._derived_results[db] = Server(address, self._timeout)
        return self._derived_results[db]


def _count(rows: list[dict[str, Any]]) -> str:
    return "1 row" if len(rows) == 1 else f"{len(rows)} rows"


def _describe(subject: str, detail: str | None) -> str:
    """Say in a few words what Flower shows of the job."""
    return f"{subject} · {detail}" if detail else subject
