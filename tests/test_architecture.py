"""The house keeps its floors: who imports whom, how long a file is, what every file says of itself.

Files are read, never imported.
"""

import ast
import sys
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

# The floor of each folder and top-level file of the package. A file imports from lower floors, and
# from its own folder on its own floor. The ground floor has two cellars.
FLOORS = {
    "errors": -2,
    "lengths": -1,
    "location": 0,
    "spec": 0,
    "ir": 1,
    "ops": 2,
    "autodiff": 3,
    "passes": 3,
    "schedule": 4,
    "backends": 5,
    "bound": 6,
    "twin": 6,
    "door": 6,
    "requests": 6,
    "feeds": 6,
    "executors": 6,
    "report": 6,
    "nan_search": 6,
    "pairs": 6,
    "compiler": 6,
    "viz": 6,
    "evaluation": 6,
    "evaluator": 7,
    "testing": 7,
    "linalg": 7,
    "drawing": 7,
    "recorded": 7,
    "tracing": 7,
    "random": 7,
    "__init__": 7,
    "data": 8,
    "nn": 8,
    "optim": 8,
    "train": 9,
    "sklearn": 10,
    "examples": 10,
    "demo": 10,
    "__main__": 10,
}

LONGEST = 600
ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lazygrad"
FILES = sorted(PACKAGE.rglob("*.py"))
# A program is a user of the library: it may need all that the project depends on.
PROGRAMS = {
    "demo.py",
    "sklearn.py",
    *(path.name for path in PACKAGE.joinpath("examples").glob("*.py")),
}
ALWAYS_THERE = {*sys.stdlib_module_names, "numpy", "lazygrad"}


class Import(NamedTuple):
    """One imported module: its dotted name, the line, and where the statement stands."""

    module: str
    line: int
    in_function: bool
    for_types: bool


def shown(path):
    return path.relative_to(ROOT).as_posix()


def module_of(path):
    """The dotted name of a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def file_of(module):
    """The file of a dotted name in the package, or None."""
    path = ROOT.joinpath(*module.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


def floor_of(path):
    """The floor of a file, or None where the table has none for it."""
    return FLOORS.get(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))


@lru_cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@lru_cache
def imports_of(path):
    """All imports of a file; ``from . import a`` is an import of the module ``a``."""
    found = []

    def visit(node, in_function, for_types):
        if isinstance(node, ast.Import):
            found.extend(
                Import(alias.name, node.lineno, in_function, for_types) for alias in node.names
            )
        elif isinstance(node, ast.ImportFrom):
            base = base_of(path, node)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                module = inner if base.startswith("lazygrad") and file_of(inner) else base
                found.append(Import(module, node.lineno, in_function, for_types))
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.iter_child_nodes(node):
            checked_only = is_for_types and child in node.body
            visit(child, in_function or is_function, for_types or checked_only)

    visit(tree_of(path), False, False)
    return tuple(dict.fromkeys(found))


def base_of(path, node):
    """The module that a from-import names, with leading dots resolved."""
    if not node.level:
        return node.module
    package = module_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    kept = package[: len(package) - node.level + 1]
    return ".".join([*kept, *([node.module] if node.module else [])])


def imported_files(path):
    """The files of the package that a file imports when it runs, with the line."""
    for found in imports_of(path):
        target = file_of(found.module) if found.module.split(".")[0] == "lazygrad" else None
        if target is not None and target != path and not found.for_types:
            yield target, found.line


def cases(function):
    return pytest.mark.parametrize("path", FILES, ids=shown)(function)


def fail_with(complaints):
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)


@cases
def test_a_file_has_a_floor(path):
    if floor_of(path) is None:
        pytest.fail(f"{shown(path)} has no floor; say it in the table in {shown(Path(__file__))}.")


@cases
def test_a_file_imports_from_lower_floors_or_its_own_folder(path):
    complaints = []
    for target, line in imported_files(path):
        own, other = floor_of(path), floor_of(target)
        if None in (own, other) or other < own:
            continue
        if other == own and folder_of(path) == folder_of(target):
            continue
        complaints.append(
            f"{shown(path)} (floor {own}) imports {shown(target)} (floor {other}) in line {line};"
            " a file imports from lower floors or its own folder."
        )
    fail_with(complaints)


def folder_of(path):
    """The top-level folder of a file; empty for the files directly in the package."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def test_no_modules_import_each_other_in_a_ring():
    waiting = {path: {target for target, _ in imported_files(path)} for path in FILES}
    while ready := [path for path, targets in waiting.items() if not targets & waiting.keys()]:
        for path in ready:
            del waiting[path]
    if not waiting:
        return
    # Whoever is left has a neighbour that is left, so a walk comes back to where it was.
    walk = [next(iter(waiting))]
    while walk[-1] not in walk[:-1]:
        walk.append(min(waiting[walk[-1]] & waiting.keys()))
    ring = walk[walk.index(walk[-1]) :]
    pytest.fail(f"a ring of imports: {' imports '.join(map(shown, ring))}.", pytrace=False)


@cases
def test_only_optional_packages_are_imported_inside_functions(path):
    complaints = [
        f"{shown(path)} imports {found.module} inside a function in line {found.line};"
        " only optional packages are imported there."
        for found in imports_of(path)
        if found.in_function and found.module.split(".")[0] in ALWAYS_THERE
    ]
    fail_with(complaints)


@cases
def test_optional_packages_are_imported_only_when_used(path):
    complaints = [
        f"{shown(path)} needs {found.module} from line {found.line} on to be imported at all;"
        " import it inside the function that uses it."
        for found in imports_of(path)
        if not found.in_function
        and not found.for_types
        and found.module.split(".")[0] not in ALWAYS_THERE
        and path.name not in PROGRAMS
    ]
    fail_with(complaints)


@cases
def test_a_file_is_one_idea_long(path):
    length = len(path.read_text(encoding="utf-8").splitlines())
    if length > LONGEST:
        pytest.fail(f"{shown(path)} has {length} lines, more than {LONGEST}: it holds two ideas.")


@cases
def test_a_file_says_what_it_holds(path):
    if not ast.get_docstring(tree_of(path)):
        pytest.fail(f"{shown(path)} has no docstring at its top.")


@cases
def test_what_is_public_has_a_docstring(path):
    complaints = [
        f"{shown(path)}, line {node.lineno}: {node.name} has no docstring."
        for node in public_definitions(tree_of(path).body)
        if not ast.get_docstring(node)
    ]
    fail_with(complaints)


def public_definitions(body):
    """Functions and classes without a leading underscore, and the methods of such classes."""
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if any(ast.unparse(mark).endswith((".setter", "overload")) for mark in node.decorator_list):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            yield from public_definitions(node.body)


@cases
def test_a_file_lists_its_public_names(path):
    names = list(defined_names(tree_of(path).body))
    listed = names_in_all(tree_of(path).body)
    if listed is None:
        if names or path.parent == PACKAGE:
            pytest.fail(f"{shown(path)} has no __all__.", pytrace=False)
        return
    complaints = [
        f"{shown(path)} lists {name} twice in __all__."
        for name in sorted({name for name in listed if listed.count(name) > 1})
    ]
    # In ops/ the lists are the names that users see; what families lend each other stays out.
    complaints += [
        f"{shown(path)} defines {name}, which is not in its __all__;"
        " list it or start it with an underscore."
        for name in names
        if not name.startswith("_") and name not in listed and folder_of(path) != "ops"
    ]
    fail_with(complaints)


@cases
def test_a_list_of_public_names_holds_only_what_is_there(path):
    body = tree_of(path).body
    known = {*defined_names(body), *assigned_names(body), *imported_names(body)}
    complaints = [
        f"{shown(path)} lists {name} in __all__ and doesn't define or import it."
        for name in names_in_all(body) or ()
        if name not in known
    ]
    fail_with(complaints)


def names_in_all(body):
    """The names written in ``__all__``, without the lists that it takes over; None without one."""
    for node, targets in assignments(body):
        if "__all__" in targets:
            return [entry.value for entry in node.value.elts if isinstance(entry, ast.Constant)]
    return None


def assignments(body):
    """The assignments at the top of a module, with the names that they bind."""
    for node in body:
        if isinstance(node, ast.If):
            yield from assignments([*node.body, *node.orelse])
        elif isinstance(node, ast.Assign):
            yield node, [ast.unparse(target) for target in node.targets]
        elif isinstance(node, ast.AnnAssign):
            yield node, [ast.unparse(node.target)]


def assigned_names(body):
    """The names that the top of a module assigns."""
    for _, targets in assignments(body):
        for name in targets:
            yield from name.strip("()").replace(" ", "").split(",")


def defined_names(body):
    """The functions, classes and constants that a module defines; aliases of types don't count."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
    yield from (name for name in assigned_names(body) if name.isupper())


def imported_names(body):
    """The names that the imports of a module bind."""
    for node in body:
        if isinstance(node, ast.If):
            yield from imported_names([*node.body, *node.orelse])
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
