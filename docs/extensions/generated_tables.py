"""A Sphinx extension: writes the pages that follow from the code, before each build.

The reference of public names, module by module, and the table of operations. They are written into
``docs/generated``, and a file is left alone where nothing in it changed. Knows the table of
operations, the public names, and which operations the C backend writes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.backends.c import moves, windows
from lazygrad.errors import DisconnectedError, DTypeError, GraphError
from lazygrad.ir.op import Op, Trait, Writes, table
from lazygrad.ir.value import Value, apply, placeholder

__all__ = ["operations_page", "reference_pages", "sample", "setup", "written_in_c"]

CORE = {
    "Values and programs": (
        *("Value", "placeholder", "variable", "constant", "no_grad", "scope", "compile", "Program"),
        *("Graph", "Length", "Spec", "parse"),
    ),
    "Derivatives and loops": lg.autodiff.__all__,
    "Pictures and explanations": (
        *("draw", "draw_dot", "draw_graph", "CompGraph", "trace_compile", "explain_gradient"),
    ),
}

FUNCTIONS = {
    "Arithmetic and comparisons": ("arithmetic", "compositions"),
    "Elementary functions": ("activations", "elementary", "rounding", "special"),
    "Sums, extrema, statistics": ("reduce", "statistics", "cumulative", "differences"),
    "Shapes": ("shape", "join", "layout", "window", "forms", "broadcasting", "protocol"),
    "Indexing and order": ("indexing", "order", "updates"),
    "Products and factorizations": ("products", "einstein", "linalg", "factorizations"),
    "For networks": ("convolution", "pooling", "probabilities"),
    "Control and operations of your own": ("control", "custom"),
}
"""Headings of the functions' page, and the modules of `lazygrad.ops` below each."""

MODULES = {
    "linalg": "Linear algebra",
    "random": "Random draws",
    "nn": "Layers and losses",
    "nn.initializers": "Initializers",
    "optim": "Optimizers",
    "optim.schedules": "Schedules",
    "data": "Data",
    "train": "Training",
    "testing": "Checks of derivatives",
    "sklearn": "Estimators for scikit-learn",
}

OPERATIONS_OPENING = """\
Every node is one of these operations, and all :doc:`functions <functions>` are made of them. This
page is written from the table that the library itself works from; derivatives of elementwise
operations are those that it uses, as ``lg.explain_gradient`` writes them. Of other operations the
page says how derivatives are declared. Names that begin with an underscore are met inside others.

How it comes into machine code, in the last column:

loop
   An expression of one element, part of a nest of loops with what is around it.
parts
   Done as simpler operations, which are loops.
view, leaf
   No work: the same memory, seen otherwise, or memory that is there already.
own
   Code of its own; for some layouts, types and sizes NumPy's is taken.
NumPy
   Runs on NumPy, between two calls of machine code.

.. |br| raw:: html

   <br>
"""


def _heading(text: str, line: str) -> list[str]:
    return [text, line * len(text), ""]


def _described(thing: object) -> str:
    """Give the one sentence with which a docstring opens."""
    return " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())


def _entries(path: str, names: Iterable[str]) -> list[str]:
    """Give a table of names with their sentences, and below it an entry for each."""
    names = sorted(names, key=lambda name: (name.lower(), name))
    lines = [f".. currentmodule:: {path}", "", ".. autosummary::", ""]
    lines += [f"   {name}" for name in names]
    lines.append("")
    for name in names:
        thing = getattr(import_module(path), name)
        if inspect.isclass(thing):
            lines += [f".. autoclass:: {name}", "   :members:", ""]
        elif callable(thing):
            lines += [f".. autofunction:: {name}", ""]
    return lines


def _defining_module(name: str) -> str:
    """Say which module of `lazygrad.ops` a public function belongs to."""
    for info in (Path(lg.ops.__file__).parent).glob("*.py"):
        if info.stem != "__init__" and name in getattr(
            import_module(f"lazygrad.ops.{info.stem}"), "__all__", ()
        ):
            return info.stem
    raise LookupError(f"{name} is in no __all__ below lazygrad.ops")


def _functions_page() -> list[str]:
    lines = _heading("Functions", "=")
    lines += [
        "On nodes, arrays and numbers alike. NumPy's own functions of the same names mean these",
        "when they are given a node. :doc:`operations` says what they are made of.",
        "",
    ]
    names = {name: _defining_module(name) for name in lg.ops.__all__}
    unplaced = set(names.values()) - {place for places in FUNCTIONS.values() for place in places}
    if unplaced:
        raise LookupError(f"no heading for the functions of {sorted(unplaced)}; add to FUNCTIONS")
    for heading, places in FUNCTIONS.items():
        lines += _heading(heading, "-")
        lines += _entries("lazygrad", (name for name, place in names.items() if place in places))
    return lines


def _module_page(path: str, title: str) -> list[str]:
    module: ModuleType = import_module(f"lazygrad.{path}")
    lines = [*_heading(f"{title}: ``lazygrad.{path}``", "="), _described(module), ""]
    names = [name for name in module.__all__ if not inspect.ismodule(getattr(module, name))]
    return lines + _entries(f"lazygrad.{path}", names)


def reference_pages() -> dict[str, list[str]]:
    """Give the pages of the reference, as lines of reStructuredText by file name."""
    core = _heading("Values, programs, derivatives", "=")
    for heading, names in CORE.items():
        core += [*_heading(heading, "-"), *_entries("lazygrad", names)]
    pages = {"core": core, "functions": _functions_page()}
    pages |= {path.replace(".", "_"): _module_page(path, title) for path, title in MODULES.items()}
    errors = [
        *_heading("Exceptions and warnings", "="),
        "What to do about each: :doc:`/errors`.",
        "",
    ]
    for name in lg.errors.__all__:
        errors += [f".. autoexception:: lazygrad.{name}", "   :show-inheritance:", ""]
    return pages | {"errors": errors}


def written_in_c(op: Op) -> str:
    """Say how an operation comes into machine code; empty where it runs on NumPy."""
    if Trait.LEAF in op.traits:
        return "leaf"
    if op.writes is Writes.VIEW:
        return "view"
    if op.c is not None:
        return "loop"
    if op.parts is not None:
        return "parts"
    if op.name in {"matmul", *moves.WRITERS, *windows.WRITERS} or Trait.LOOPS in op.traits:
        return "own"
    return ""


def sample(op: Op, names: Sequence[str] = "xyz") -> tuple[Value, list[Value]]:
    """Apply an elementwise operation to placeholders of numbers, of the first types it takes."""
    count = len(op.domain)
    for dtypes in (
        ("float64",) * 3,
        ("int64",) * 3,
        ("bool",) + ("float64",) * 2,
        ("float64", "int64"),
    ):
        operands = [
            placeholder((), dtype=dtype, name=name)
            for name, dtype in zip(names[:count], dtypes, strict=False)
        ]
        try:
            return apply(op, *operands, **op.variants[0]), operands
        except GraphError:
            continue
    raise LookupError(f"no numbers found that {op.name} takes; add their types")


def _derivatives(op: Op) -> list[str]:
    """Give the derivative of an elementwise operation by each operand that has one."""
    result, operands = sample(op)
    found = []
    for operand in operands:
        try:
            formula = lg.explain_gradient(result, operand).whole.text
        except (DisconnectedError, DTypeError):
            continue
        found.append(f"{operand.name}: ``{formula.partition(' = ')[2]}``")
    return found or ["none"]


def _derivative_form(op: Op) -> str:
    """Say how the derivative of an operation that is not elementwise is declared."""
    if op.vjp is None and op.jvp is None:
        return "none"
    if op.family == "linear":
        return "its transpose, and itself forward"
    if op.family == "bilinear":
        return "a transpose for each operand, and itself forward"
    modes = (("reverse", op.vjp), ("forward", op.jvp))
    return ", ".join(
        f"{mode} {'by operand' if isinstance(rule, tuple) else 'for all operands'}"
        for mode, rule in modes
        if rule is not None
    )


def _table(widths: str, rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in rows:
        marks = ("*", *[" "] * (len(row) - 1))
        lines += [f"   {mark} - {cell}" for mark, cell in zip(marks, row, strict=True)]
    return [*lines, ""]


def operations_page() -> list[str]:
    """Give the page of the table of operations, family by family."""
    families: dict[str, list[Op]] = {}
    for op in sorted(table().values(), key=lambda op: op.name.lstrip("_")):
        families.setdefault(op.family, []).append(op)
    lines = _heading("The table of operations", "=")
    lines += [OPERATIONS_OPENING]
    for family in sorted(families, key=lambda family: -len(families[family])):
        lines += _heading(family.capitalize(), "-")
        rows = [("Operation", "What it gives", "Derivative", "C")]
        for op in families[family]:
            if Trait.ELEMENTWISE in op.traits and op.domain:
                derivative = " |br| ".join(_derivatives(op))
            else:
                derivative = _derivative_form(op)
            rows.append((f"``{op.name}``", op.doc, derivative, written_in_c(op) or "NumPy"))
        lines += _table("16 40 34 10", rows)
    return lines


def write_pages(app: Any) -> None:
    """Write the pages that changed, and remove those that are no longer made."""
    folder = Path(app.srcdir) / "generated"
    folder.mkdir(exist_ok=True)
    pages = {**reference_pages(), "operations": operations_page()}
    for path in folder.glob("*.rst"):
        if path.stem not in pages:
            path.unlink()
    for name, lines in pages.items():
        path, text = folder / f"{name}.rst", "\n".join(lines)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _is_foreign(
    app: Any, what: str, name: str, thing: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out what other libraries put into a class."""
    module = getattr(thing, "__module__", None) or "lazygrad"
    return None if module.startswith("lazygrad") else True


def _signature(
    app: Any, what: str, name: str, thing: Any, options: Any, signature: str | None, returns: Any
) -> tuple[str, None] | None:
    """Name the operands of functions that apply an operation to whatever they are given."""
    if signature != "(*operands, **attrs)":
        return None
    short = name.rpartition(".")[2]
    op = table().get(short)
    # Second names, such as degrees, are NumPy's own.
    count = len(op.domain) if op is not None else getattr(getattr(np, short, None), "nin", 0)
    return (f"({', '.join('xyz'[:count])})", None) if count else None


def setup(app: Any) -> dict[str, Any]:
    """Have the pages written before Sphinx and autosummary look for their sources."""
    app.connect("builder-inited", write_pages, priority=100)
    app.connect("autodoc-skip-member", _is_foreign)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
