"""Arithmetic over tags, as text that is data and never code.

    sum     = product { ("+" | "-") product }
    product = signed { ("*" | "/") signed }
    signed  = ("-" | "+") signed | power
    power   = atom [ "**" signed ]                       so -a**2 is -(a**2), and a**b**c is a**(b**c)
    atom    = number | tag | function "(" sum { "," sum } ")" | "(" sum ")"
    tag     = identifier | "`" any text without a backtick "`"

Everything is float64 and follows IEEE 754 without a warning: x / 0 is an infinity or NaN, sqrt(-1) and
log(-1) are NaN, log(0) is minus infinity. NaN, a missing value, makes every result NaN that uses it, also in
min and max (only NaN ** 0 and 1 ** NaN are 1, as IEEE 754 has them).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.checks import floats
from engine.errors import ExpressionError, ShapeError, UnknownExpressionTag

MAX_LENGTH = 4_000
"""Characters in an expression."""

MAX_DEPTH = 50
"""Parentheses, calls, signs and powers inside each other."""

Array = NDArray[np.float64]

_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}
_OF_ONE: Mapping[str, Callable[[Any], Any]] = {
    "abs": np.abs,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "log10": np.log10,
}
_OF_SEVERAL: Mapping[str, Callable[..., Any]] = {
    "min": lambda *values: reduce(np.minimum, values),
    "max": lambda *values: reduce(np.maximum, values),
    "mean": lambda *values: reduce(np.add, values) / len(values),
}
FUNCTIONS = (*_OF_ONE, *_OF_SEVERAL)
"""The names that may stand before a parenthesis."""


@dataclass(frozen=True)
class Expression:
    """An expression that was read and can be computed for many rows at once. Made by ``parse``.

    Attributes:
        text: the expression as it was written.
        tags: the tags that it needs, in order of first use.
    """

    text: str
    tags: tuple[str, ...] = field(compare=False)
    _tree: "_Node" = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> "Expression":
        """Read an expression.

        Raises:
            ExpressionError: it is not in the language above, longer than MAX_LENGTH or deeper than MAX_DEPTH;
                details hold the position, counted in characters from 1.
        """
        if not isinstance(text, str):
            raise ExpressionError(f"an expression is text, but {type(text).__name__} was given")
        if len(text) > MAX_LENGTH:
            raise ExpressionError(
                f"the expression has {len(text)} characters, more than {MAX_LENGTH}",
                length=len(text),
                allowed=MAX_LENGTH,
            )
        parser = _Parser(text)
        tree = parser.whole()
        return cls(text, tuple(parser.tags), tree)

    def evaluate(self, columns: Mapping[str, NDArray[Any]]) -> Array:
        """Compute the expression for every row.

        Args:
            columns: a numeric array for each tag, all of one shape, usually (n,). Others are ignored.

        Returns:
            A new float64 array of that shape. An expression without tags takes the shape of the columns
            that are there, and is a scalar array if there are none.

        Raises:
            UnknownExpressionTag: a tag has no column.
            ExpressionError: a column does not hold numbers.
            ShapeError: the columns differ in shape.
        """
        values = {tag: self._column(tag, columns) for tag in self.tags}
        shapes = {tag: value.shape for tag, value in values.items()}
        if len(set(shapes.values())) > 1:
            raise ShapeError(
                "the columns of an expression need one shape, but got "
                + ", ".join(f"{tag} {shape}" for tag, shape in shapes.items()),
                shapes={tag: list(shape) for tag, shape in shapes.items()},
            )
        others = (np.shape(column) for column in columns.values())
        shape = next(iter(shapes.values())) if shapes else next(others, ())
        with np.errstate(all="ignore"):
            result = self._tree.value(values)
        whole: Array = np.empty(shape)
        whole[...] = result
        return whole

    def affine(self) -> tuple[float, dict[str, float]] | None:
        """Return the constant and the coefficient of each tag if the expression is affine in its tags, else None.

        It is read from the tree and not from its text: a product needs a constant factor, a quotient a constant
        divisor, and no power or function may hold a tag.
        """
        return _affine(self._tree)

    def _column(self, tag: str, columns: Mapping[str, NDArray[Any]]) -> Array:
        if tag not in columns:
            raise UnknownExpressionTag(
                f"`{tag}` in the expression {_shortened(self.text)} is none of the tags that are there",
                tag=tag,
            )
        try:
            values = floats(f"`{tag}`", columns[tag])
        except ShapeError as error:
            raise ExpressionError(f"`{tag}` cannot be computed with: it does not hold numbers", tag=tag) from error
        # Contiguous: NumPy may round differently on strided memory, and a row must give the same bits
        return np.ascontiguousarray(values).reshape(values.shape)


def as_reference(tag: str) -> str:
    """Return the tag as it must be written in an expression: as it is, or in backticks.

    Raises:
        ExpressionError: the tag is no text, is empty or holds a backtick, so that no expression can speak of it.
    """
    if not isinstance(tag, str) or not tag or "`" in tag:
        raise ExpressionError(f"no expression can speak of a tag called {tag!r}", tag=str(tag))
    is_plain = _IDENTIFIER.fullmatch(tag) and tag not in FUNCTIONS
    return tag if is_plain else f"`{tag}`"


# The tree. A chain of one precedence is one node, so that depth is what the parser limits, not length.


@dataclass(frozen=True, slots=True)
class _Number:
    number: float

    def value(self, columns: Mapping[str, Array]) -> Any:
        return np.float64(self.number)


@dataclass(frozen=True, slots=True)
class _Tag:
    name: str

    def value(self, columns: Mapping[str, Array]) -> Any:
        return columns[self.name]


@dataclass(frozen=True, slots=True)
class _Negative:
    operand: "_Node"

    def value(self, columns: Mapping[str, Array]) -> Any:
        return np.negative(self.operand.value(columns))


@dataclass(frozen=True, slots=True)
class _Chain:
    first: "_Node"
    rest: "tuple[tuple[str, _Node], ...]"

    def value(self, columns: Mapping[str, Array]) -> Any:
        result = self.first.value(columns)
        for operator, operand in self.rest:
            result = _OPERATORS[operator](result, operand.value(columns))
        return result


@dataclass(frozen=True, slots=True)
class _Power:
    base: "_Node"
    exponent: "_Node"

    def value(self, columns: Mapping[str, Array]) -> Any:
        return np.power(self.base.value(columns), self.exponent.value(columns))


@dataclass(frozen=True, slots=True)
class _Call:
    function: str
    arguments: "tuple[_Node, ...]"

    def value(self, columns: Mapping[str, Array]) -> Any:
        function = _OF_ONE.get(self.function) or _OF_SEVERAL[self.function]
        return function(*(argument.value(columns) for argument in self.arguments))


_Node = _Number | _Tag | _Negative | _Chain | _Power | _Call


# What is affine

_Affine = tuple[float, dict[str, float]]


def _affine(node: _Node) -> _Affine | None:
    """Return constant and coefficients of an affine node, None if it is not affine."""
    match node:
        case _Tag(name):
            return 0.0, {name: 1.0}
        case _Negative(operand):
            found = _affine(operand)
            return found and _scaled(found, -1.0)
        case _Chain(first, rest):
            return _affine_chain(first, rest)
        case _:
            constant = _constant(node)
            return None if constant is None else (constant, {})


def _affine_chain(first: _Node, rest: tuple[tuple[str, _Node], ...]) -> _Affine | None:
    found = _affine(first)
    for operator, operand in rest:
        other = _affine(operand)
        if found is None or other is None:
            return None
        if operator in "+-":
            found = _added(found, _scaled(other, 1.0 if operator == "+" else -1.0))
        elif operator == "*" and not (found[1] and other[1]):
            found = _scaled(found, other[0]) if not other[1] else _scaled(other, found[0])
        elif operator == "/" and not other[1] and other[0] != 0:
            found = _scaled(found, 1 / other[0])
        else:
            return None
    return found


def _scaled(affine: _Affine, factor: float) -> _Affine:
    return affine[0] * factor, {tag: value * factor for tag, value in affine[1].items()}


def _added(one: _Affine, other: _Affine) -> _Affine:
    tags = dict.fromkeys([*one[1], *other[1]])
    return one[0] + other[0], {tag: one[1].get(tag, 0.0) + other[1].get(tag, 0.0) for tag in tags}


def _constant(node: _Node) -> float | None:
    """Return the value of a node without tags, None if it has one or is no finite number."""
    if _has_tag(node):
        return None
    with np.errstate(all="ignore"):
        value = float(node.value({}))
    return value if np.isfinite(value) else None


def _has_tag(node: _Node) -> bool:
    match node:
        case _Tag():
            return True
        case _Number():
            return False
        case _Negative(operand):
            return _has_tag(operand)
        case _Chain(first, rest):
            return _has_tag(first) or any(_has_tag(operand) for _, operand in rest)
        case _Power(base, exponent):
            return _has_tag(base) or _has_tag(exponent)
        case _Call(_, arguments):
            return any(map(_has_tag, arguments))


# Reading the text

_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_TOKEN = re.compile(
    r"\s*(?:"
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    rf"|(?P<name>{_IDENTIFIER.pattern})"
    r"|`(?P<quoted>[^`]+)`"
    r"|(?P<symbol>\*\*|[-+*/(),])"
    r"|(?P<end>\Z)"
    r")",
)
_OPERAND = "a number, a tag, a function or '('"
_BACKTICKS = "a tag that is not an identifier stands in backticks, such as `Coal Flow (t/h)`"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int  # characters before it
    end: int

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else f"`{self.text}`" if self.kind == "quoted" else repr(self.text)


class _Parser:
    """Recursive descent, one method a rule, with one token of look-ahead."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tags: dict[str, None] = {}  # a set that keeps the order
        self._depth = 0
        self._token = self._read(0)

    def whole(self) -> _Node:
        if self._token.kind == "end":
            raise self._refusal(self._token.start, "the expression is empty", expected=_OPERAND)
        tree = self._sum()
        if self._token.kind != "end":
            raise self._unexpected("an operator or the end")
        return tree

    def _sum(self) -> _Node:
        return self._chain("+-", self._product)

    def _product(self) -> _Node:
        return self._chain("*/", self._signed)

    def _chain(self, operators: str, operand: Callable[[], _Node]) -> _Node:
        first, rest = operand(), []
        while (operator := self._token.text) in tuple(operators) and self._token.kind == "symbol":
            self._advance()
            rest.append((operator, operand()))
        return _Chain(first, tuple(rest)) if rest else first

    def _signed(self) -> _Node:
        if self._takes("-"):
            with self._deeper():
                return _Negative(self._signed())
        if self._takes("+"):
            with self._deeper():
                return self._signed()
        return self._power()

    def _power(self) -> _Node:
        base = self._atom()
        if not self._takes("**"):
            return base
        with self._deeper():
            return _Power(base, self._signed())

    def _atom(self) -> _Node:
        token = self._token
        if token.kind == "number":
            return self._number()
        if token.kind == "name" and token.text in FUNCTIONS:
            return self._call()
        if token.kind in ("name", "quoted"):
            self._advance()
            self.tags[token.text] = None
            return _Tag(token.text)
        if self._takes("("):
            with self._deeper():
                inside = self._sum()
            self._expect(")")
            return inside
        raise self._unexpected(_OPERAND)

    def _number(self) -> _Node:
        token = self._token
        number = float(token.text)
        if number == float("inf"):
            raise self._refusal(token.start, f"the number {token.text} is too large", expected="a finite number")
        self._advance()
        return _Number(number)

    def _call(self) -> _Node:
        name = self._token
        self._advance()
        self._expect("(", hint=f"{name.text} is a function; a tag of that name stands in backticks")
        with self._deeper():
            arguments = [self._sum()]
            while self._takes(","):
                arguments.append(self._sum())
        self._expect(")")
        if name.text in _OF_ONE and len(arguments) != 1:
            wanted = "one value"
        elif name.text in _OF_SEVERAL and len(arguments) < 2:
            # mean(a) would be a itself, while its author may well expect the mean of the column
            wanted = "two or more values of the same row"
        else:
            return _Call(name.text, tuple(arguments))
        raise self._refusal(name.start, f"{name.text} takes {wanted}, but got {len(arguments)}", expected=wanted)

    # Tokens

    def _read(self, position: int) -> _Token:
        match = _TOKEN.match(self.text, position)
        if match and match.lastgroup:
            kind = match.lastgroup
            return _Token(kind, match[kind], match.start(kind) - (kind == "quoted"), match.end())
        start = position + len(self.text[position:]) - len(self.text[position:].lstrip())
        found = self.text[start]
        if found == "`":
            empty = self.text.startswith("``", start)
            problem = "there is no tag between the backticks" if empty else "the closing backtick is missing"
            raise self._refusal(start, problem, expected="a tag in backticks")
        hint = {"^": "; a power is written **", "=": "; an expression compares nothing"}.get(found, "")
        raise self._refusal(start, f"{found!r} has no meaning here{hint}", expected="a number, a tag or an operator")

    def _advance(self) -> None:
        self._token = self._read(self._token.end)

    def _takes(self, symbol: str) -> bool:
        is_there = self._token.kind == "symbol" and self._token.text == symbol
        if is_there:
            self._advance()
        return is_there

    def _expect(self, symbol: str, hint: str = "") -> None:
        if not self._takes(symbol):
            raise self._unexpected(repr(symbol), hint)

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            problem = f"the expression is nested more than {MAX_DEPTH} levels deep"
            raise self._refusal(self._token.start, problem, expected="a flatter expression")
        yield
        self._depth -= 1

    # Refusals

    def _unexpected(self, expected: str, hint: str = "") -> ExpressionError:
        token = self._token
        two_words = token.kind in ("name", "number", "quoted") and not expected.startswith("a number")
        hint = hint or (_BACKTICKS if two_words else "")
        problem = f"found {token} where {expected} is needed" + (f" ({hint})" if hint else "")
        return self._refusal(token.start, problem, expected=expected)

    def _refusal(self, start: int, problem: str, *, expected: str) -> ExpressionError:
        before, after = self.text[:start], self.text[start:]
        shown = ("..." + before[-30:] if len(before) > 33 else before) + "▸"
        shown += after[:30] + "..." if len(after) > 33 else after
        return ExpressionError(
            f"at character {start + 1}: {problem}: {shown}",
            position=start + 1,
            expected=expected,
            text=self.text,
        )


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
