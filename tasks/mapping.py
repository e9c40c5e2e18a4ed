"""Turn the members of a row into columns of a target's table: renamed, filled up, sorted out.

Pure. ``Intake.of(target, columns) -> Intake`` for a table with these columns; then
``intake.map(members, provenance) -> Mapped`` for each row. A row of a target for which
``intake.is_needed`` is false goes in as it came. ``intake.column_of(member)``,
``intake.defaults`` and ``intake.constants`` (JSON text by column) say the same for
whole files, whose records all have the same members.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import msgspec

from tasks.target import Target

Members = dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Mapped:
    """A row as its table takes it; ``unknown`` are members that no column wants."""

    members: Members
    defaulted: frozenset[str]
    unknown: frozenset[str]


@dataclass(frozen=True, slots=True)
class Intake:
    """What feeds the columns of one target's table."""

    #: The column that each member feeds.
    feeds: Mapping[str, str]
    defaults: Mapping[str, msgspec.Raw] = field(default_factory=dict)
    constants: Mapping[str, msgspec.Raw] = field(default_factory=dict)
    unknown_column: str | None = None
    ignores_unknown: bool = False
    #: False if rows go in as they came: what they name is what is written.
    is_needed: bool = False

    @classmethod
    def of(cls, target: Target, columns: Collection[str]) -> "Intake":
        """Return what feeds a table with these columns."""
        rules = {rule.column: rule for rule in target.columns}
        filled = {target.unknown_column, target.job_column, target.batch_column}
        feeds = {column: column for column in columns if column not in rules.keys() | filled}
        # A declared name goes before a column of that name, which nothing feeds then.
        feeds |= {rule.member: rule.column for rule in target.columns if rule.member is not None}
        return cls(
            feeds,
            {name: _raw(rule.default) for name, rule in rules.items() if rule.default is not None},
            {
                name: _raw(rule.constant)
                for name, rule in rules.items()
                if rule.constant is not None
            },
            target.unknown_column,
            target.ignores_unknown,
            bool(rules) or filled != {None},
        )

    def column_of(self, member: str) -> str | None:
        """Return the column that a member feeds, if there is one."""
        return self.feeds.get(member)

    def map(self, members: Mapping[str, msgspec.Raw], provenance: Members) -> Mapped:
        """Return the row by columns; ``provenance`` is added as it is."""
        feeds = self.feeds
        found = {feeds[name]: value for name, value in members.items() if name in feeds}
        unknown = {name: value for name, value in members.items() if name not in feeds}
        defaulted = self.defaults.keys() - found.keys()
        found |= {name: self.defaults[name] for name in defaulted}
        found |= self.constants
        found |= provenance
        if unknown and self.unknown_column is not None:
            found[self.unknown_column] = msgspec.Raw(msgspec.json.encode(unknown))
            unknown = {}
        refused = frozenset() if self.ignores_unknown else frozenset(unknown)
        return Mapped(found, frozenset(defaulted), refused)


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())
