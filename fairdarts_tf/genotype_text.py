"""Reading the text of a genotype, which may be anything, into plain lists, tuples, texts and numbers.

Nothing is evaluated. Whatever is wrong with a text is a `GenotypeError`, in bounded time and memory.
"""

from __future__ import annotations

import ast
import json
import reprlib
import warnings
from pathlib import Path
from typing import Any

from fairdarts_tf.errors import GenotypeError
from fairdarts_tf.files import open_file

MAX_TEXT_BYTES = 1_000_000
MAX_LITERAL_BYTES = 100_000
"""Python's parser takes a kilobyte of memory for a byte of a hostile literal; 64 nodes of DARTS take 5,000 bytes."""
MAX_RANGE = 1000
"""No range of nodes is longer; what is too large for a genotype is refused by the genotype's own checks."""


def read_text(path: Path) -> str:
    """Returns a file's text, reading no more than a genotype can need.

    Raises:
        GenotypeError: When it is absent, cannot be read or is no UTF-8 text.
    """
    try:
        with open_file(path) as file:
            content = file.read(MAX_TEXT_BYTES + 1)
    except FileNotFoundError:
        raise GenotypeError("there is no such file. Let the search finish an epoch, or name another.") from None
    except OSError as error:
        raise GenotypeError(f"it cannot be read ({error.strerror}). Check the path and its permissions.") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise GenotypeError("it is no UTF-8 text. Expected a genotype as JSON or as a Genotype(...) literal.") from None


def parse_json(text: str) -> Any:
    """Returns the value that a JSON text holds.

    Raises:
        GenotypeError: When it is too long, broken, too deep, or holds a field twice or a number that is none.
    """
    _check_size(text, MAX_TEXT_BYTES)
    try:
        return json.loads(text, object_pairs_hook=_object_without_repeats, parse_constant=_refuse_constant)
    except GenotypeError:
        raise
    except (ValueError, RecursionError, MemoryError) as error:
        raise GenotypeError(
            f"broken JSON ({_reason(error)}). Copy the file again, or derive the genotype anew."
        ) from None


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise GenotypeError("a JSON object has the same field twice. Remove one of the two.")
    return values


def _refuse_constant(name: str) -> None:
    raise GenotypeError(f"{name} is no number of a node. Expected whole numbers.")


def parse_literal(text: str, name: str, fields: tuple[str, ...]) -> dict[str, Any]:
    """Returns the arguments of a text like ``Genotype(normal=[...], normal_concat=range(2, 6), ...)``.

    Args:
        text: The literal, with or without ``NAME =`` before it.
        name: The name that is called.
        fields: The keywords that must be given, each once.

    Raises:
        GenotypeError: When it is too long, broken, too deep, or holds anything but lists, tuples, names in quotes,
            whole numbers and range.
    """
    call = _parse_expression(text)
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == name) or call.args:
        raise GenotypeError(f"expected {name}({'=..., '.join(fields)}=...), found another expression.")
    arguments = {keyword.arg: keyword.value for keyword in call.keywords}
    if set(arguments) != set(fields) or len(call.keywords) != len(fields):
        raise GenotypeError(f"expected the arguments {', '.join(fields)} of {name}(...), each once.")
    return {field: _value(node) for field, node in arguments.items()}


def _parse_expression(text: str) -> ast.expr:
    """Returns the expression of a text that is one expression, or one assignment of it to a name."""
    _check_size(text, MAX_LITERAL_BYTES)
    try:
        with warnings.catch_warnings():
            # The text is data: what Python would remark on it as source code concerns nobody.
            warnings.simplefilter("ignore")
            statements = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise GenotypeError(f"neither JSON nor a Genotype(...) literal ({_reason(error)}).") from None
    if len(statements) == 1 and isinstance(statements[0], ast.Expr | ast.Assign):
        return statements[0].value
    raise GenotypeError(
        f"expected one Genotype(...) literal, found {len(statements)} statements. Keep only the literal."
    )


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=str() | int()):
            return node.value
        case ast.Tuple():
            return tuple(_element(element) for element in node.elts)
        case ast.List():
            return [_element(element) for element in node.elts]
        case ast.Call(func=ast.Name(id="range"), keywords=[]) if len(node.args) in (1, 2):
            return _range([_value(argument) for argument in node.args])
    raise GenotypeError(
        "a Genotype(...) literal may hold lists, tuples, names in quotes, whole numbers and range only."
    )


def _element(node: ast.expr) -> Any:
    """Returns a list's element: a constant, or a tuple or list of constants, so that nothing nests deeper."""
    if isinstance(node, ast.List | ast.Tuple) and not all(isinstance(part, ast.Constant) for part in node.elts):
        raise GenotypeError("the items of a Genotype(...) literal may hold names in quotes and whole numbers only.")
    return _value(node)


def _range(bounds: list[Any]) -> list[int]:
    if not all(type(bound) is int and 0 <= bound <= MAX_RANGE for bound in bounds):
        raise GenotypeError(f"expected a range of whole numbers from 0 to {MAX_RANGE}, as in range(2, 6).")
    return list(range(*bounds))


def brief(value: Any) -> str:
    """Returns any value as a short text, for an error's message."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no number of more than some thousands of digits as decimal ones.
        return "a number of thousands of digits"


def shorten(name: str) -> str:
    """Returns a name as it is, or, of a long one, the beginning."""
    return name if len(name) <= 60 else f"{name[:57]}..."


def _check_size(text: str, most: int) -> None:
    if len(text) > most:
        raise GenotypeError(f"longer than {most:,} characters: this is no genotype.")


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError | MemoryError):
        return "nested too deeply"
    return str(error)
