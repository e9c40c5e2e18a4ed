"""What a report declares of a parameter, and the values that it takes."""

from typing import Any

import msgspec

from postgres.parameters import Value, ValueType
from tasks.reports.values import BadValue, array_of, meaning, shown, value_of

#: The type of a parameter that takes one of a few words; for PostgreSQL they are text.
ENUM = "enum"
ARRAY = "[]"

_ORDERED = frozenset(
    {
        *(ValueType.INT, ValueType.BIGINT, ValueType.NUMERIC),
        *(ValueType.DATE, ValueType.TIMESTAMPTZ),
    }
)
_TYPES = (*ValueType, ENUM)


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A parameter that a report takes; its ``type`` may be an array, ``int[]``."""

    type: str
    default: Any = None
    required: bool = False
    #: The words that an ``enum`` takes.
    values: tuple[str, ...] = ()
    #: The least and the most, of numbers and times; in an array, of each element.
    min: Any = None
    max: Any = None
    #: The most characters of a text, or the most elements of an array.
    max_length: int | None = None

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        if self.element_type not in _TYPES:
            allowed = ", ".join(_TYPES)
            raise ValueError(
                f"type must be one of {allowed}, or one with {ARRAY}, got {self.type!r}"
            )
        _check_words(self)
        _check_bounds(self)
        if self.required and self.default is not None:
            raise ValueError("a required parameter can have no default")

    @property
    def is_array(self) -> bool:
        """Whether it takes a list."""
        return self.type.endswith(ARRAY)

    @property
    def element_type(self) -> str:
        """The type that is declared, of one element if it takes a list."""
        return self.type.removesuffix(ARRAY)

    @property
    def value_type(self) -> ValueType:
        """The type as which PostgreSQL reads it, of one element if it takes a list."""
        return ValueType.TEXT if self.element_type == ENUM else ValueType(self.element_type)

    @property
    def bounds(self) -> tuple[Value | None, Value | None]:
        """The least and the most that an element may be."""
        low, high = (
            None if bound is None else value_of(self.value_type, bound)
            for bound in (self.min, self.max)
        )
        return low, high

    def value(self, given: Any) -> Value:
        """Return the value of what was given, or raise :class:`BadValue`; None is NULL."""
        if not self.is_array or given is None:
            return self._one(given)._replace(is_array=self.is_array)
        if not isinstance(given, list | tuple):
            raise BadValue(f"must be a list of {self.element_type}, got {shown(given)}")
        if self.max_length is not None and len(given) > self.max_length:
            raise BadValue(f"must have at most {self.max_length} elements, got {len(given)}")
        return array_of(self.value_type, [self._element(at, one) for at, one in enumerate(given)])

    def _element(self, at: int, given: Any) -> Value:
        if given is None:
            raise BadValue(f"must have no null in it, got one at {at}")
        try:
            return self._one(given)
        except BadValue as error:
            raise BadValue(f"at {at} {error}") from None

    def _one(self, given: Any) -> Value:
        value = value_of(self.value_type, given)
        if value.text is None:
            return value
        if self.values and value.text not in self.values:
            raise BadValue(f"must be one of {', '.join(self.values)}, got {shown(given)}")
        if self.max_length is not None and not self.is_array and len(value.text) > self.max_length:
            raise BadValue(f"must have at most {self.max_length} characters, got {len(value.text)}")
        self._bound(value, given)
        return value

    def _bound(self, value: Value, given: Any) -> None:
        found: Any = meaning(value)
        low, high = self.bounds
        if low is not None and found < meaning(low):
            raise BadValue(f"must be at least {low.text}, got {shown(given)}")
        if high is not None and found > meaning(high):
            raise BadValue(f"must be at most {high.text}, got {shown(given)}")


def _check_words(parameter: Parameter) -> None:
    words = parameter.values
    if (parameter.element_type == ENUM) != bool(words):
        raise ValueError('an enum needs its values = ["a", "b"], and no other type has any')
    if len(set(words)) < len(words):
        raise ValueError("values must differ from each other")


def _check_bounds(parameter: Parameter) -> None:
    bounds = (parameter.min, parameter.max)
    if bounds != (None, None) and parameter.value_type not in _ORDERED:
        raise ValueError(f"min and max are for numbers and times, not for {parameter.type}")
    for name, bound in zip(("min", "max"), bounds, strict=True):
        try:
            value_of(parameter.value_type, bound)
        except BadValue as error:
            raise ValueError(f"{name} {error}") from None
    if parameter.max_length is None:
        return
    if parameter.type != ValueType.TEXT and not parameter.is_array:
        raise ValueError(f"max_length is for text and arrays, not for {parameter.type}")
    if parameter.max_length < 0:
        raise ValueError(f"max_length must be 0 or more, got {parameter.max_length}")
