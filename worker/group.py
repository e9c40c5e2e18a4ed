"""Groups of jobs with one continuation: who belongs to one, who does not fit, who was the last.

Every job of a group carries all of it: the group's id, its size, and what
follows. The transaction that commits a job counts it; the one that commits
the last enqueues what follows. So that happens once, whatever is killed or
delivered again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated

import msgspec

from celeriac.contract import MAX_GROUP_JOBS, MAX_ID_CHARACTERS, MAX_THEN_BYTES, THEN_SUFFIX
from postgres import Cursor
from postgres.job_group import GroupCount, Standing, count_members, read_groups
from postgres.outbox import Entry, enqueue
from tasks.kind import BadPayload

_DIGEST_BYTES = 16
_EMBED = '{"callbacks":null,"errbacks":null,"chain":null,"chord":null}'

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARACTERS)]


class _Then(msgspec.Struct, forbid_unknown_fields=True):
    task: _Text
    kwargs: msgspec.Raw
    id: str | None = None


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    id: _Text
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_GROUP_JOBS)]
    then: _Then


@dataclass(frozen=True, slots=True)
class Group:
    """What a job says of its group; ``digest`` stands for size and continuation together."""

    id: str
    size: int
    task: str
    continuation: str
    #: Arguments of the continuation, as JSON text.
    kwargs: str
    digest: str

    def count(self, members: int) -> GroupCount:
        """Return what to count when so many of its jobs commit."""
        return GroupCount(self.id, members, self.size, self.task, self.continuation, self.digest)

    def following(self) -> Entry:
        """Return the continuation, for the outbox."""
        return Entry(self.continuation, self.task, f"[[],{self.kwargs},{_EMBED}]")


def read_group(said: bytes) -> Group | None:
    """Read what a message says of its group; None if it belongs to none.

    Raises :class:`BadPayload`.
    """
    if not said or said == b"null":
        return None
    try:
        group = msgspec.json.decode(said, type=_Said)
        kwargs = msgspec.json.decode(group.then.kwargs, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadPayload(f"group: {error}") from error
    text = bytes(group.then.kwargs)
    if len(text) > MAX_THEN_BYTES:
        raise BadPayload(
            f"group: then must have at most {MAX_THEN_BYTES} bytes of kwargs, got {len(text)}"
        )
    continuation = group.then.id or group.id + THEN_SUFFIX
    for id_ in (group.id + THEN_SUFFIX, continuation):
        _check_id(id_)
    same = [group.size, group.then.task, continuation, kwargs]
    return Group(
        id=group.id,
        size=group.size,
        task=_checked(group.then.task),
        continuation=continuation,
        kwargs=text.decode("utf-8"),
        # Of values, not of text: the same group may come by other ways, written otherwise.
        digest=blake2b(
            msgspec.json.encode(same, order="sorted"), digest_size=_DIGEST_BYTES
        ).hexdigest(),
    )


def refuse_members(members: Sequence[tuple[str, Group]], cursor: Cursor) -> dict[str, str]:
    """Say of claimed jobs of groups which do not fit into theirs, and why."""
    if not members:
        return {}
    return misfits(members, read_groups((group.id for _, group in members), cursor))


def misfits(
    members: Sequence[tuple[str, Group]], standings: Mapping[str, Standing]
) -> dict[str, str]:
    """Decide which jobs do not fit: in their order, after those that have committed."""
    found: dict[str, str] = {}
    known = dict(standings)
    for job_id, group in members:
        before = known.get(group.id, Standing(group.size, 0, group.digest))
        if before.digest != group.digest:
            found[job_id] = (
                f"group {group.id!r} has {before.size} jobs and a continuation, this job says "
                "another size or continuation: enqueue it under another group's id"
            )
        elif before.done >= before.size:
            found[job_id] = (
                f"group {group.id!r} has its {before.size} jobs already: "
                "enqueue this one under another group's id"
            )
        else:
            known[group.id] = Standing(before.size, before.done + 1, before.digest)
    return found


def count_in_groups(committed: Sequence[Group], cursor: Cursor) -> None:
    """Count jobs, by their groups, that this transaction commits for the first time.

    Enqueues what follows those groups that are complete by them. After the
    ledger and before any other touch of the outbox, as locks are taken.
    """
    if not committed:
        return
    groups = {group.id: group for group in committed}
    members = Counter(group.id for group in committed)
    complete = count_members([groups[id_].count(members[id_]) for id_ in sorted(groups)], cursor)
    enqueue([groups[id_].following() for id_ in sorted(complete)], cursor)


def _check_id(id_: str) -> None:
    if len(id_) > MAX_ID_CHARACTERS or not _checked(id_).isprintable():
        raise BadPayload(
            f"group: ids must be printable and at most {MAX_ID_CHARACTERS - len(THEN_SUFFIX)} "
            f"characters, got {id_[:MAX_ID_CHARACTERS]!r}"
        )


def _checked(text: str) -> str:
    if "\0" in text:
        raise BadPayload(f"group: text must be without NUL characters, got {text!r}")
    return text
