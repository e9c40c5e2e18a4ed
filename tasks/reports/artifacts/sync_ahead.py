"""Bring drafts to the disk, or into their store, while others are still being written."""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from tasks.reports.artifacts.draft import Draft
from tasks.stores import StoreTrouble

#: By draft, why it could not be synced.
Troubles = dict[Draft, StoreTrouble]


class SyncAhead:
    """Syncs the prepared drafts of one batch, several by one call of a thread.

    Leave it before the drafts are discarded: no thread has one any more then.
    """

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._waiting: list[Draft] = []
        self._begun: list[Future[Troubles]] = []

    def __enter__(self) -> "SyncAhead":
        return self

    def __exit__(
        self,
        type_: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    def take(self, draft: Draft) -> None:
        """See to a prepared draft, now or with those that follow."""
        self._waiting.append(draft)
        if len(self._waiting) < draft.synced_by_one_call:
            return
        if self._threads is None:
            self._threads = ThreadPoolExecutor(draft.syncs_at_a_time, thread_name_prefix="sync")
        self._begun.append(self._threads.submit(_sync_each, self._waiting))
        self._waiting = []

    def wait(self) -> Troubles:
        """Return when all are synced, but for those that are in trouble."""
        troubles = _sync_each(self._waiting)
        for one in self._begun:
            troubles |= one.result()
        return troubles


def _sync_each(drafts: Iterable[Draft]) -> Troubles:
    troubles: Troubles = {}
    for draft in drafts:
        try:
            draft.sync()
        except StoreTrouble as error:
            troubles[draft] = error
    return troubles
