"""Say what the oracle found, in lists that a failing test can print."""

from dataclasses import dataclass, field

RowId = tuple[str, int]

_SHOWN = 5


@dataclass(slots=True)
class Verdict:
    """What became of everything a history holds.

    ``duplicated`` rows are in more than one place or twice in one; ``lost`` rows
    are in none though their job was accepted; ``unexpected`` ones nobody sent
    like that; ``misplaced`` ones are good rows set aside, or bad ones set aside
    for a reason that is not theirs.
    """

    acked: list[str] = field(default_factory=list)
    indeterminate: list[str] = field(default_factory=list)
    #: Indeterminate jobs that turned out to be committed, whole.
    recovered: list[str] = field(default_factory=list)
    committed: list[RowId] = field(default_factory=list)
    quarantined: list[RowId] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)

    lost: list[RowId] = field(default_factory=list)
    duplicated: list[RowId] = field(default_factory=list)
    unexpected: list[RowId] = field(default_factory=list)
    misplaced: list[RowId] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    counter_mismatches: list[str] = field(default_factory=list)
    ledger_mismatches: list[str] = field(default_factory=list)
    status_lies: list[str] = field(default_factory=list)

    def violations(self) -> dict[str, list[str]]:
        """Return what no fault may ever cause, by kind, empty kinds left out."""
        rows = {name: getattr(self, name) for name in _ROW_VIOLATIONS}
        found = {name: [f"{job} row {row}" for job, row in ids] for name, ids in rows.items()}
        found |= {name: getattr(self, name) for name in _TOLD_VIOLATIONS}
        return {name: entries for name, entries in found.items() if entries}

    def summary(self) -> str:
        """Return the figures of a run in one line."""
        counts = {name: len(getattr(self, name)) for name in self.__slots__}
        return " ".join(f"{name}={count}" for name, count in counts.items())

    def assert_clean(self, *, pending: bool = False, dead: bool = False) -> None:
        """Raise unless nothing is wrong and, unless allowed, nothing is pending or dead."""
        found = self.violations()
        if self.pending and not pending:
            found["pending"] = self.pending
        if self.dead and not dead:
            found["dead"] = self.dead
        if found:
            told = "\n".join(_tell(name, entries) for name, entries in found.items())
            raise AssertionError(f"the promises were broken\n{told}\nin all: {self.summary()}")


_ROW_VIOLATIONS = ("lost", "duplicated", "unexpected", "misplaced")
_TOLD_VIOLATIONS = ("torn", "counter_mismatches", "ledger_mismatches", "status_lies")


def _tell(name: str, entries: list[str]) -> str:
    more = [f"    and {len(entries) - _SHOWN} more"] if len(entries) > _SHOWN else []
    shown = [f"    {entry}" for entry in entries[:_SHOWN]]
    return "\n".join([f"  {name}: {len(entries)}", *shown, *more])
