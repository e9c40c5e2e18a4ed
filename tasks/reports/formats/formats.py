"""Answer a report in one of its formats."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from tasks.reports.answer import Writer
from tasks.reports.declared.header import Format

#: Which writer makes which format. Each is loaded at its first use: what draws charts or knows
#: Parquet takes as long to start as all the rest of a worker, and most processes never need it.
_PLACES: Mapping[Format, str] = MappingProxyType(
    {
        Format.HTML: "write_html",
        Format.XLSX: "write_xlsx",
        Format.PARQUET: "write_parquet",
        Format.CSV: "write_csv",
        Format.CSV_GZIP: "write_csv",
        Format.CSV_ZSTD: "write_csv",
        Format.JSON_LINES: "write_json_lines",
        Format.JSON_LINES_GZIP: "write_json_lines",
        Format.JSON_LINES_ZSTD: "write_json_lines",
    }
)


def writer_of(format_: Format) -> Writer:
    """Return what writes a format."""
    write: Writer = import_module(f"tasks.reports.formats.{_PLACES[format_]}").write
    return write
