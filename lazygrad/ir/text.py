"""Read graphs from text; `print_graph` writes it. Nothing in the text is ever executed.

A program is statements, one per line or separated by semicolons, and a return::

    x: float64[batch, 3]                    a placeholder (dtypes also as f8, i4, u1, ...)
    x: float64[3] requires_grad             one that requires a gradient
    t: argument float64[3]                  an input of the graph, of a loop body for example
    w: variable float64[3, 2]               a variable of zeros; `= [[1.0, ...], ...]` fills it
    c = constant([1.0, 2.0]): float64[2]    an array
    a = add(multiply(x, 2.0), c)            operations, whose calls may be nested
    p = frexp(x)                            several results: p.0 and p.1
    n = length(2*batch + 1)                 a length as a number
    b = exp(x) no_grad                      no gradient flows through it
    return a, p.0

Attributes are keywords: ``sum(x, axes=(0,), keepdims=False)``. A number takes on the dtype of the
other operands, as in an expression; ``1.0: float32`` states it. ``#`` begins a comment.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np

from ..errors import GraphError
from ..lengths import Dim, Length, parse_length
from ..spec import DType, Shape, Spec, differs, product
from .cursor import BLANK_LINES, Cursor
from .graph import Graph
from .op import Array, Op, Trait, lookup, table
from .printing import AUTOMATIC, DTYPES, literal_dtype, print_graph
from .value import ITEM, LENGTH, Value, apply, constant, item, make, placeholder

__all__ = ["parse", "print_graph"]

_END = re.compile(r"[;\n]")
_NAME = re.compile(r"(?P<bare>[^\W\d]\w*)|`(?P<quoted>(?:[^`\\\n]|\\[^\n])*)`")
_WORD = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(
    r"(?:-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|-?(?:inf|nan)\b|(?:True|False)\b)(?!\w)"
)
_STRING = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')
_INDEX = re.compile(r"\.([0-9]+)")
_CALL = re.compile(r"\s*\(")
_KEYWORD = re.compile(r"([^\W\d]\w*)\s*=")
_AFTER_VALUE = re.compile(r"\s*(?:[,)}\];\n#]|$)")

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class _Number:
    """A number in operand position, whose dtype its neighbours may decide."""

    text: str
    dtype: DType | None
    position: int


def parse(text: str) -> Graph:
    """Read the graph that *text* describes; see the module's text for the form.

    Every node is made by `apply`, so shapes and dtypes are checked as in an expression.
    Raises ParseError with line and column, and the error of the operation where one refuses.

    >>> print(parse("x: f8[3]; a = exp(x); b = exp(x); return add(a, b)"))
    x: float64[3]
    a = exp(x)
    b = exp(x)
    c = add(a, b)
    return c
    """
    reader = _Reader(text)
    graph = reader.program()
    reader.skip(BLANK_LINES)
    if reader.position < len(text):
        reader.fail("the end of the text after 'return'")
    return graph


class _Reader(Cursor):
    """A place in the text, and the nodes that have labels so far."""

    def __init__(self, text: str, position: int = 0, level: int = 0) -> None:
        super().__init__(text, position, level)
        self.labels: dict[str, Value] = {}
        self.labelled: set[int] = set()
        self.items: dict[tuple[int, int], Value] = {}
        self.inputs: list[Value] = []

    # Statements.

    def program(self) -> Graph:
        while True:
            self.skip(BLANK_LINES)
            while self.take(_END):
                self.skip(BLANK_LINES)
            if self.position == len(self.text):
                self.fail("a statement or 'return'")
            if self.accept_word("return"):
                return Graph(self.results(), self.inputs)
            self.statement()
            if self.position < len(self.text) and not self.take(_END):
                self.fail("';' or a new line")

    def results(self) -> list[Value]:
        self.skip()
        if self.position == len(self.text) or self.text[self.position] in ";\n}":
            return []
        found = [self.node(self.expression())]
        while self.accept(","):
            found.append(self.node(self.expression()))
        return found

    def statement(self) -> None:
        self.skip()
        start = self.position
        label, is_quoted = self.name("a name, or 'return'")
        if label in self.labels:
            self.refuse(f"{label!r} is defined twice", start)
        is_declared = self.accept(":")
        if not is_declared:
            self.expect("=", ":")
        is_named = is_declared or is_quoted or not AUTOMATIC.fullmatch(label)
        is_argument = self.accept_word("argument")
        if self.accept_word("variable"):
            node = self.variable()
        elif is_declared or is_argument:
            spec = self.spec()
            node = self.guarded(
                start, lambda: placeholder(spec.shape, dtype=spec.dtype, name=label)
            )
        else:
            node = self.node(self.expression())
            # A statement that only repeats a label would rename the node that has it.
            if node.op is ITEM:
                node = item(node.operands[0], node.attrs["index"])
            elif id(node) in self.labelled:
                self.refuse("a second name for a node must be an operation on it", start)
        if is_named:
            node.name = label
        self.marks(node)
        self.labels[label] = node
        self.labelled.add(id(node))
        if is_argument:
            self.inputs.append(node)

    def marks(self, node: Value) -> None:
        while True:
            if self.accept_word("named"):
                node.name = self.name("the node's name")[0]
            elif self.accept_word("requires_grad"):
                if node.dtype.kind == "b":
                    self.refuse("a bool value has no gradient", self.position)
                node.requires_grad = True
            elif self.accept_word("no_grad"):
                node.requires_grad = False
                node._stopped = bool(node.operands)
            else:
                return

    def variable(self) -> Value:
        start = self.position
        spec = self.spec()
        if not spec.is_static:
            self.refuse(f"a variable's lengths are integers, not {spec}", start)
        if not self.accept("="):
            return Value(self.guarded(start, lambda: np.zeros(spec.shape, spec.dtype)))
        return Value(self.array(spec))

    def name(self, expected: str) -> tuple[str, bool]:
        self.skip()
        start = self.position
        match = self.take(_NAME)
        if match is None:
            self.fail(expected)
        if match["bare"] is not None:
            return match["bare"], False
        decoded = self.decoded(match["quoted"].replace("\\`", "\\u0060"), start)
        if not decoded:
            self.refuse("a name must not be empty", start)
        return decoded, True

    # Specs.

    def dtype(self) -> DType:
        self.skip()
        start = self.position
        word = self.take(_WORD)
        if word is None:
            self.fail("a dtype such as float64 or f8")
        if word[0] not in DTYPES:
            close = difflib.get_close_matches(word[0], DTYPES, n=1)
            self.fail("a dtype" + (f" (did you mean {close[0]}?)" if close else ""), start)
        return DTYPES[word[0]]

    def spec(self) -> Spec:
        dtype = self.dtype()
        return Spec(self.shape() if self.accept("[") else (), dtype)

    def shape(self) -> Shape:
        lengths: list[Dim] = []
        while not self.accept("]"):
            if lengths:
                self.expect(",", "]")
            lengths.append(self.length())
        return tuple(lengths)

    def length(self) -> Dim:
        self.skip()
        start = self.position
        end = self.span_end(start)
        text = self.text[start:end].strip()
        if not text:
            self.fail("a length")
        self.position = end
        if text == "None":
            return Length.fresh()
        try:
            found = parse_length(text)
        except (ValueError, ZeroDivisionError) as error:
            self.refuse(str(error), start)
        return found

    # Expressions.

    def node(self, operand: Value | _Number) -> Value:
        if isinstance(operand, Value):
            return operand
        dtype = operand.dtype or literal_dtype(None, (), operand.text)
        return constant(self.number_array([operand.text], dtype, operand.position).reshape(()))

    def expression(self) -> Value | _Number:
        self.skip()
        start = self.position
        number = self.take(_NUMBER)
        if number is not None:
            return _Number(number[0], self.number_dtype() if self.annotated() else None, start)
        name, is_quoted = self.name("an operation, a name or a number")
        if _CALL.match(self.text, self.position):
            return self.called(name, is_quoted, start)
        node = self.labels.get(name)
        if node is None:
            self.undefined(name, self.labels, "defined above", start)
        if index := _INDEX.match(self.text, self.position):
            self.position = index.end()
            return self.item(node, int(index[1]), start)
        return node

    def annotated(self) -> bool:
        return self.accept(":")

    def number_dtype(self) -> DType:
        dtype = self.dtype()
        if self.accept("["):
            self.expect("]")
        return dtype

    def undefined(self, name: str, known: Iterable[str], what: str, at: int) -> NoReturn:
        close = difflib.get_close_matches(name, list(known), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        self.refuse(f"{name!r} is not {what}{hint}", at)

    def item(self, node: Value, index: int, at: int) -> Value:
        spec: Any = node.spec
        if type(spec) is not tuple:
            self.refuse("only a node with several results has numbered ones", at)
        if index >= len(spec):
            self.refuse(f"there are results 0 to {len(spec) - 1}, not {index}", at)
        key = id(node), index
        if key not in self.items:
            self.items[key] = item(node, index)
        return self.items[key]

    def called(self, name: str, is_quoted: bool, start: int) -> Value:
        self.enter("calls")
        self.expect("(")
        if name == "constant" and not is_quoted:
            return self.constant()
        if name == "length" and not is_quoted:
            return self.length_node()
        return self.operation(name, start)

    def operation(self, name: str, start: int) -> Value:
        if name not in table():
            self.undefined(name, table(), "an operation", start)
        op = lookup(name)
        if Trait.LEAF in op.traits:
            self.refuse(f"a {name} is declared, as in 'x: {name} float64[3]'", start)
        operands: list[Value | _Number] = []
        attrs: dict[str, object] = {}
        while not self.accept(")"):
            if operands or attrs:
                self.expect(",", ")")
            self.skip()
            place = self.position
            keyword = self.take(_KEYWORD)
            if keyword is None:
                if attrs:
                    self.fail("an attribute, as operands come first")
                operands.append(self.expression())
                continue
            if keyword[1] in attrs:
                self.refuse(f"{keyword[1]}= is given twice", place)
            attrs[keyword[1]] = self.attribute()
        self.leave()
        nodes = self.promoted(op, operands)
        node = self.guarded(start, lambda: apply(op, *nodes, **attrs))
        return self.checked(node, self.spec(), start) if self.annotated() else node

    def promoted(self, op: Op, operands: list[Value | _Number]) -> list[Value]:
        others = [
            node.spec.dtype
            for node in operands
            if isinstance(node, Value) and type(node.spec) is Spec
        ]
        result = []
        for operand in operands:
            if isinstance(operand, _Number) and operand.dtype is None:
                dtype = literal_dtype(op, others, operand.text)
                operand = _Number(operand.text, dtype, operand.position)
            result.append(self.node(operand))
        return result

    def checked(self, node: Value, spec: Spec, at: int) -> Value:
        own = node.spec
        if own == spec:
            return node
        fits = (
            type(own) is Spec
            and own.dtype == spec.dtype
            and own.ndim == spec.ndim
            and not any(differs(a, b) for a, b in zip(own.shape, spec.shape, strict=True))
        )
        if not fits or Trait.DATA_SHAPED not in node.op.traits:
            self.refuse(f"this gives {own}, not {spec}", at)
        node.spec = spec
        return node

    def guarded(self, at: int, build: Callable[[], _Result]) -> _Result:
        """Say where in the text an operation refused its operands or attributes."""
        try:
            return build()
        except GraphError as error:
            raise type(error)(self.located(str(error), at)) from None
        except Exception as error:
            reason = re.sub(r"^\S+\(\) ", "", str(error))
            self.refuse(f"the operands or attributes don't fit: {reason}", at)

    # Constants.

    def length_node(self) -> Value:
        length = self.length()
        self.expect(")")
        self.leave()
        dtype = self.dtype() if self.annotated() else np.dtype(np.int64)
        return make(LENGTH, (), {"length": length}, Spec((), dtype))

    def constant(self) -> Value:
        start = self.position
        numbers, shape, encoded = self.elements()
        self.expect(")")
        self.leave()
        if self.annotated():
            return constant(self.filled(numbers, encoded, self.spec(), start))
        if encoded is not None:
            self.fail("':' and the constant's spec")
        dtype = np.result_type(*[literal_dtype(None, (), text) for text in numbers or ["0.0"]])
        return constant(self.number_array(numbers, dtype, start).reshape(shape))

    def array(self, spec: Spec) -> Array:
        start = self.position
        numbers, _, encoded = self.elements()
        return self.filled(numbers, encoded, spec, start)

    def elements(self) -> tuple[list[str], tuple[int, ...], bytes | None]:
        """Read nested lists of numbers, or base64 text; give numbers, shape, and bytes."""
        self.skip()
        start = self.position
        if self.text.startswith("...", start):
            self.refuse(
                "this array was abbreviated when it was printed;"
                " print_graph(graph, full=True) writes all of it",
                start,
            )
        if encoded := self.take(_STRING):
            try:
                return [], (), base64.b64decode(encoded[0][1:-1], validate=True)
            except (binascii.Error, ValueError) as error:
                self.refuse(f"this is not base64 ({error})", start)
        numbers: list[str] = []
        shape = self.rows(numbers)
        return numbers, shape, None

    def rows(self, numbers: list[str]) -> tuple[int, ...]:
        start = self.position
        if not self.accept("["):
            number = self.take(_NUMBER)
            if number is None:
                self.fail("a number, '[' or base64 text")
            numbers.append(number[0])
            return ()
        shapes: list[tuple[int, ...]] = []
        self.enter("rows")
        while not self.accept("]"):
            if shapes:
                self.expect(",", "]")
            shapes.append(self.rows(numbers))
            if shapes[-1] != shapes[0]:
                self.refuse("rows have unequal lengths", start)
        self.leave()
        return (len(shapes), *(shapes[0] if shapes else ()))

    def filled(self, numbers: list[str], encoded: bytes | None, spec: Spec, at: int) -> Array:
        if not spec.is_static:
            self.refuse(f"an array's lengths are integers, not {spec}", at)
        size: Any = product(spec.shape)
        if encoded is None:
            count, found = size, self.number_array(numbers, spec.dtype, at)
        else:
            count = size * spec.dtype.itemsize
            found = np.frombuffer(encoded, np.uint8)
        if found.size != count:
            unit = "elements" if encoded is None else "bytes"
            self.refuse(f"{spec} has {count} {unit}, but {found.size} are given", at)
        if encoded is not None:
            found = found.view(spec.dtype.newbyteorder("<")).astype(spec.dtype)
        return found.reshape(spec.shape)

    def number_array(self, texts: list[str], dtype: DType, at: int) -> Array:
        try:
            if dtype.kind == "f":
                return _floats(texts, dtype)
            if dtype.kind == "b" and not {*texts} <= {"True", "False"}:
                raise ValueError("bools are True and False")
            return np.array(
                [text == "True" if text in _BOOLS else int(text) for text in texts], dtype
            )
        except (ValueError, OverflowError) as error:
            self.refuse(f"these are no {dtype.name} numbers ({error})", at)

    # Attributes.

    def attribute(self) -> object:
        self.skip()
        start = self.position
        if self.accept("{"):
            return self.block()
        if self.accept("..."):
            return Ellipsis
        if string := self.take(_STRING):
            return self.decoded(string[0][1:-1], start)
        if self.accept("<"):
            self.refuse("this attribute has no text form, so the graph can't be read back", start)
        number = _NUMBER.match(self.text, start)
        if number and _AFTER_VALUE.match(self.text, number.end()):
            self.position = number.end()
            return self.guarded(start, lambda: _as_number(number[0]))
        word = _WORD.match(self.text, start)
        if word and _AFTER_VALUE.match(self.text, word.end()) and word[0] in _WORDS:
            self.position = word.end()
            return _WORDS[word[0]]
        if self.text.startswith("slice(", start):
            self.position += len("slice")
            return slice(*self.entries())
        if self.text.startswith("(", start) and self.is_tuple(start):
            return self.entries()
        return self.length()

    def is_tuple(self, start: int) -> bool:
        """Whether a bracket opens a tuple rather than a length such as ``(batch + 1)//2``."""
        end = self.span_end(start + 1)
        inside = self.text[start + 1 : end]
        return not (self.text.startswith(")", end) and inside.strip())

    def entries(self) -> tuple[object, ...]:
        self.enter("tuples")
        self.expect("(")
        entries: list[object] = []
        while not self.accept(")"):
            if entries:
                self.expect(",", ")")
                if self.accept(")"):
                    break
            entries.append(self.attribute())
        self.leave()
        return tuple(entries)

    def block(self) -> Graph:
        inner = _Reader(self.text, self.position, self.level)
        graph = inner.program()
        inner.skip(BLANK_LINES)
        inner.expect("}")
        self.position = inner.position
        return graph


_BOOLS = ("True", "False")
_WORDS: dict[str, object] = {"None": None, **DTYPES}


def _floats(texts: list[str], dtype: DType) -> Array:
    plain = [{"True": "1", "False": "0"}.get(text, text) for text in texts]
    with np.errstate(over="ignore"), warnings.catch_warnings():
        # Long doubles warn of numbers at either end of their range, also of exact ones.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = np.array([dtype.type(text) for text in plain], dtype)
    for number, text in zip(found, plain, strict=True):
        if np.isinf(number) and "inf" not in text:
            raise OverflowError(f"{text} is too large")
    return found


def _as_number(text: str) -> float | int | bool:
    if text in _BOOLS:
        return text == "True"
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else float(text)
