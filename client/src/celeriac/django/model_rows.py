"""Turn what a Django project has at hand into rows of a model's table."""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db.models import AutoField, JSONField, Model, QuerySet, expressions

from celeriac.errors import BadPayload
from celeriac.rows import each_row, row_object
from celeriac.shown import shown

#: So many rows of a queryset are in memory at a time.
_QUERYSET_ROWS: Final = 1_000
#: What stands for a column that the database fills; before Django 5.0 there was none.
_DATABASE_DEFAULT: Final[Any] = getattr(expressions, "DatabaseDefault", ())


def model_rows(
    model: type[Model], given: Any, columns: Sequence[str] | None
) -> Iterator[dict[str, Any]]:
    """Return rows with the columns of the model's table.

    ``given`` is one row or many: instances, a queryset (also of ``values()``),
    mappings and whatever else the client takes as rows, with names of fields,
    attributes or columns. Raises :class:`BadPayload` naming row and column.
    """
    table = _Table(model)
    for number, item in enumerate(_items(given), start=1):
        where = f"row {number}"
        if isinstance(item, Model):
            yield table.row_of_instance(where, item)
        else:
            yield table.row_of_members(where, row_object(where, item, columns))


class _Table:
    """The columns of one model's own table."""

    def __init__(self, model: type[Model]) -> None:
        self._model = model._meta.concrete_model
        meta = self._model._meta
        if meta.parents:
            raise BadPayload(
                f"model {meta.label!r} is spread over the tables of its parents, pass rows for each"
                " of these tables by the name of its target"
            )
        fields = [one for one in meta.concrete_fields if not getattr(one, "generated", False)]
        self._fields: list[Any] = fields
        self._by_name = {one.column: one for one in fields} | {one.attname: one for one in fields}
        self._by_name |= {one.name: one for one in fields}
        if getattr(meta.pk, "column", None):
            self._by_name.setdefault("pk", meta.pk)

    def row_of_instance(self, where: str, instance: Any) -> dict[str, Any]:
        """Write an instance; what it does not hold is left out and never fetched."""
        if instance._meta.concrete_model is not self._model:
            label = self._model._meta.label
            raise BadPayload(f"{where} must be a {label!r}, got a {instance._meta.label!r}")
        deferred = instance.get_deferred_fields()
        row = {}
        for field in self._fields:
            if field.attname in deferred:
                continue
            value = getattr(instance, field.attname)
            if _is_left_to_the_database(field, value):
                continue
            row[field.column] = _written(where, field, _stamped(field, value))
        return row

    def row_of_members(self, where: str, members: Mapping[str, Any]) -> dict[str, Any]:
        """Write named values; a name that is none of the model's goes on as it is."""
        row: dict[str, Any] = {}
        for name, value in members.items():
            field = self._by_name.get(name)
            column = field.column if field else name
            if column in row:
                raise BadPayload(f"{where} names column {column!r} twice, once as {name!r}")
            row[column] = _written(where, field, value) if field else copy.deepcopy(value)
        return row


def _items(given: Any) -> Iterable[Any]:
    if isinstance(given, Model):
        return [given]
    # One that was read already holds instances that may have been changed since.
    if isinstance(given, QuerySet) and getattr(given, "_result_cache", None) is None:
        return each_row(given.iterator(chunk_size=_QUERYSET_ROWS))
    return each_row(given)


def _is_left_to_the_database(field: Any, value: Any) -> bool:
    is_new_key = value is None and isinstance(field, AutoField)
    return is_new_key or isinstance(value, _DATABASE_DEFAULT)


def _stamped(field: Any, value: Any) -> Any:
    """Return the time that ``save()`` would set, for a field that has none yet."""
    is_stamp = getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
    # In place of the instance, because pre_save() writes the time into it.
    return field.pre_save(SimpleNamespace(), True) if value is None and is_stamp else value


def _written(where: str, field: Any, value: Any) -> Any:
    try:
        return _plain(field, value)
    except (TypeError, ValueError, ArithmeticError, RecursionError, ValidationError) as error:
        words = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        place = f"{where}, column {field.column!r}"
        raise BadPayload(f"{place} does not fit its field, got {shown(value)}: {words}") from error


def _plain(field: Any, value: Any) -> Any:
    """Return what the field would give to a driver, without the driver's own types."""
    if field.is_relation and isinstance(value, Model):
        value = getattr(value, field.target_field.attname)
    if value is None:
        return None
    if hasattr(value, "resolve_expression"):
        raise TypeError("an expression of the database, pass a value")
    if not getattr(value, "_committed", True):
        raise TypeError("its file is not stored yet, save the instance first")
    if isinstance(field, JSONField):
        # Here, not by the client: the field's own encoder knows its values.
        return json.loads(json.dumps(value, cls=field.encoder))
    prepared = field.get_prep_value(value)
    if isinstance(prepared, timedelta):
        return _interval(prepared)
    # A buffer could change or be gone before the job is sent.
    return bytes(prepared) if isinstance(prepared, (bytearray, memoryview)) else prepared


def _interval(value: timedelta) -> str:
    # With signs of their own, since only the days of a timedelta can be negative.
    return f"{value.days:+} days {value.seconds:+} seconds {value.microseconds:+} microseconds"
