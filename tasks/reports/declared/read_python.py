"""Read what a report in Python declares, without running any of it.

A module that cannot be imported today must not stop a worker that runs the others.
"""

import ast
import re
from pathlib import Path

from tasks.reports.declared.header import Header
from tasks.reports.declared.toml_header import header_of

#: What the module defines: ``def report(read, ...)``.
FUNCTION = "report"

#: A line of the docstring; what stands above it is for people.
_HEADER = re.compile(r"^[ \t]*celeriac[ \t]*$", re.MULTILINE)


def read_python(path: Path) -> Header:
    """Return what the docstring of a module declares; raises ValueError at the first mistake."""
    try:
        module = ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno}: {error.msg}") from error
    docstring = ast.get_docstring(module, clean=False)
    match = _HEADER.search(docstring or "")
    if docstring is None or match is None:
        raise ValueError("the file must begin with a docstring that has a line celeriac, then TOML")
    before = docstring.count("\n", 0, match.end())
    header = header_of(docstring[match.end() :], module.body[0].lineno + before)
    if header.chart is not None or header.charts:
        raise ValueError("a report in Python draws its charts itself, it can declare none")
    _check_function(module, header)
    return header


def _check_function(module: ast.Module, header: Header) -> None:
    """Compare the arguments of the function, the last one of its name, with the parameters."""
    functions = [one for one in module.body if isinstance(one, ast.FunctionDef)]
    found = [one for one in functions if one.name == FUNCTION]
    if not found:
        raise ValueError(f"the file must define a function {FUNCTION}(read, ...)")
    where, taken = f"line {found[-1].lineno}", found[-1].args
    positional = [*taken.posonlyargs, *taken.args]
    if not positional:
        raise ValueError(f"{where}: {FUNCTION} must take read as its first argument")
    reader, named = positional[0].arg, {one.arg for one in [*taken.args, *taken.kwonlyargs]}
    for name in header.params:
        if name == reader:
            raise ValueError(f"{where}: params.{name} has the name of what {FUNCTION} reads with")
        if name not in named and taken.kwarg is None:
            raise ValueError(f"{where}: params.{name} is declared, but {FUNCTION} takes no {name}")
    for name in _needed(taken, positional):
        if name not in header.params:
            raise ValueError(f"{where}: {FUNCTION} needs {name}, declare it in [params.{name}]")


def _needed(taken: ast.arguments, positional: list[ast.arg]) -> list[str]:
    """Name the arguments, but the first one, that have no default."""
    by_place = positional[1 : len(positional) - len(taken.defaults)]
    pairs = zip(taken.kwonlyargs, taken.kw_defaults, strict=True)
    by_name = [one for one, default in pairs if default is None]
    return [one.arg for one in [*by_place, *by_name]]
