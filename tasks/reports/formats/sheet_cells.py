"""Write values as cells that a spreadsheet computes with; what it cannot hold exactly is text."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from postgres.snapshot import Column

#: The most that a cell holds, in UTF-16 units.
MAX_CELL_CHARACTERS = 32_767

#: What spreadsheets show and keep of a number.
_MOST_DIGITS = 15
_LEAST, _MOST = 1e-300, 1e300
_DIGITS = re.compile(r"-?0*(\d+?)(?:\.(\d*))?")
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - spreadsheets know no zones
#: Before it spreadsheets disagree: one of them has a February 29 in 1900.
_FIRST = datetime(1900, 3, 1)  # noqa: DTZ001 - the same
_DAY = timedelta(days=1)

Put = Callable[[Worksheet, int, int, str], None]


class _Number(float):
    """A number that is written with all its digits; the library would drop the last one."""

    def __format__(self, _spec: str) -> str:
        return float.__repr__(self)


class Cells:
    """Writes the values of a workbook, and counts the texts that it had to cut."""

    def __init__(self, workbook: Workbook) -> None:
        self.cut_texts = 0
        self._workbook = workbook
        self._formats: dict[str, Format] = {}

    def putters(self, columns: Sequence[Column]) -> list[Put]:
        """Return what writes a value of each column, as PostgreSQL prints it."""
        return [self._putter(column) for column in columns]

    def text(
        self, sheet: Worksheet, row: int, place: int, text: str, format_: Format | None = None
    ) -> None:
        """Write text as text, whatever it looks like; never a formula or a link."""
        units = len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
        if units > MAX_CELL_CHARACTERS:
            self.cut_texts += 1
            text = _cut(text, units)
        sheet.write_string(row, place, text, format_)

    def moment(self, sheet: Worksheet, row: int, place: int, moment: datetime) -> None:
        """Write an instant, in UTC, where words stand."""
        naive = moment.astimezone(UTC).replace(tzinfo=None, microsecond=0)
        looks = {"num_format": 'yyyy-mm-dd hh:mm:ss "UTC"', "align": "left"}
        number = _Number((naive - _EPOCH) / _DAY)
        sheet.write_number(row, place, number, self._workbook.add_format(looks))

    def _putter(self, column: Column) -> Put:
        if column.type_oid == _NUMERIC and column.scale:
            return self._numeric_of_scale(column.scale)
        name = _PUTTERS.get(column.type_oid)
        return getattr(self, name) if name else self.text

    def _format(self, number_format: str) -> Format:
        if number_format not in self._formats:
            self._formats[number_format] = self._workbook.add_format({"num_format": number_format})
        return self._formats[number_format]

    def _bool(self, sheet: Worksheet, row: int, place: int, text: str) -> None:
        sheet.write_boolean(row, place, text == "t")

    def _float(self, sheet: Worksheet, row: int, place: int, text: str) -> None:
        if text[-1].isdigit():
            sheet.write_number(row, place, _Number(text))
        else:  # NaN, Infinity
            self.text(sheet, row, place, text)

    def _numeric(self, sheet: Worksheet, row: int, place: int, text: str) -> None:
        self._exact(sheet, row, place, text, None)

    def _numeric_of_scale(self, scale: int) -> Put:
        format_ = self._format(f"0.{'0' * scale}" if scale > 0 else "0")

        def put(sheet: Worksheet, row: int, place: int, text: str) -> None:
            self._exact(sheet, row, place, text, format_)

        return put

    def _exact(
        self, sheet: Worksheet, row: int, place: int, text: str, format_: Format | None
    ) -> None:
        number = _exact_number(text)
        if number is None:
            self.text(sheet, row, place, text)
        else:
            sheet.write_number(row, place, number, format_)

    def _date(self, sheet: Worksheet, row: int, place: int, text: str) -> None:
        moment = _moment(text)
        if moment is None:
            self.text(sheet, row, place, text)
        else:
            number = (moment - _EPOCH) / _DAY
            sheet.write_number(row, place, _Number(number), self._format("yyyy-mm-dd"))

    def _timestamp(self, sheet: Worksheet, row: int, place: int, text: str) -> None:
        moment = _moment(text)
        if moment is None:
            self.text(sheet, row, place, text)
        else:
            self._time(sheet, row, place, moment, "")

    def _timestamptz(self, sheet: Worksheet, row: int, place: int, text: str) -> None:
        moment = _moment(text)
        if moment is None:
            self.text(sheet, row, place, text)
        else:
            self._time(sheet, row, place, moment, ' "UTC"')

    def _time(self, sheet: Worksheet, row: int, place: int, moment: datetime, zone: str) -> None:
        fraction = ".000" if moment.microsecond else ""
        format_ = self._format(f"yyyy-mm-dd hh:mm:ss{fraction}{zone}")
        sheet.write_number(row, place, _Number((moment - _EPOCH) / _DAY), format_)

    def _clock(self, sheet: Worksheet, row: int, place: int, text: str) -> None:
        try:
            clock = time.fromisoformat(text)
        except ValueError:  # 24:00:00
            self.text(sheet, row, place, text)
            return
        since = datetime.combine(_EPOCH, clock) - _EPOCH
        format_ = self._format("hh:mm:ss.000" if clock.microsecond else "hh:mm:ss")
        sheet.write_number(row, place, _Number(since / _DAY), format_)


class Looks(NamedTuple):
    """The looks of what is no value."""

    title: Format
    head: Format
    number_head: Format
    quiet: Format
    prose: Format

    @classmethod
    def of(cls, workbook: Workbook) -> "Looks":
        """Add them to a workbook."""
        head = {"bold": True, "bottom": 1, "bg_color": "#F3F5F7"}
        return cls(
            title=workbook.add_format({"bold": True, "font_size": 16}),
            head=workbook.add_format(head),
            number_head=workbook.add_format({**head, "align": "right"}),
            quiet=workbook.add_format({"italic": True, "font_color": "#596470"}),
            prose=workbook.add_format({"text_wrap": True, "valign": "top"}),
        )


def _cut(text: str, units: int) -> str:
    words = f" … (cut: {units:,} characters, a cell holds {MAX_CELL_CHARACTERS:,})"
    room = (MAX_CELL_CHARACTERS - len(words)) * 2
    return text.encode("utf-16-le")[:room].decode("utf-16-le", "ignore") + words


def _exact_number(text: str) -> _Number | None:
    """Return a number that has all digits of the text, or None if there is none."""
    match = _DIGITS.fullmatch(text)
    if match is None:  # NaN, Infinity
        return None
    # The zeros around them take no room in a number.
    digits = f"{match[1]}{match[2] or ''}".strip("0")
    if len(digits) > _MOST_DIGITS:
        return None
    number = _Number(text)
    return number if not digits or _LEAST < abs(number) < _MOST else None


def _moment(text: str) -> datetime | None:
    """Read a date or time, in UTC if it names a zone; None if a spreadsheet has none of it."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):  # infinity, before Christ, in ten thousand years
        return None
    return moment if moment >= _FIRST else None


_NUMERIC = 1700
#: By the OIDs of types; all others are text.
_PUTTERS: Mapping[int, str] = MappingProxyType(
    {
        16: "_bool",
        20: "_numeric",
        21: "_numeric",
        23: "_numeric",
        26: "_numeric",
        700: "_float",
        701: "_float",
        1700: "_numeric",
        1082: "_date",
        1083: "_clock",
        1114: "_timestamp",
        1184: "_timestamptz",
    }
)


class PlainSheet(Worksheet):  # type: ignore[misc]  # its library has no types
    """A sheet that takes no text for markup."""

    def _xml_rich_inline_string(self, string: str, attributes: Any) -> None:
        # What begins with <r> and ends with </r> the library would write as it is.
        self._xml_inline_string(string, True, attributes)
