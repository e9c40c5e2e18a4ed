"""Give the one table of an answer to a format that holds no more than that."""

from collections.abc import Iterator

from tasks.reports.answer import Answer, Rows, Unwritable


def one_table(answer: Answer) -> Iterator[Rows]:
    """Yield the section of rows; pictures and texts have no place beside it.

    Raises :class:`Unwritable` after it if there is a second one, or none at all.
    """
    found = 0
    for section in answer.sections:
        if not isinstance(section, Rows):
            continue
        found += 1
        if found > 1:
            break
        yield section
    if found != 1:
        raise Unwritable(
            f"{answer.request.format.value} holds one table and the report gives"
            f" {'several' if found else 'none'}: ask for html or xlsx"
        )


def refuse_equal_names(section: Rows) -> None:
    """Raise :class:`Unwritable` if two columns have one name: a reader would see one of them."""
    seen = set()
    for column in section.source.columns:
        if column.name in seen:
            raise Unwritable(f"column {column.name!r} is there twice: name one of them otherwise")
        seen.add(column.name)
