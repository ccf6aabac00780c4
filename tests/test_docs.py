"""What the docs write from the code: nothing is left out, and what is said of C holds."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain
from lazygrad.ir.op import Trait, table

try:
    find_toolchain()
    HAS_COMPILER = True
except CompilerError:
    HAS_COMPILER = False

PATH = Path(__file__).parents[1] / "docs" / "extensions" / "generated_tables.py"


def _extension():
    found = spec_from_file_location("generated_tables", PATH)
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


tables = _extension()


def test_every_public_name_has_one_entry_in_the_reference():
    pages = tables.reference_pages()
    lines = [line for page in ("core", "functions", "errors") for line in pages[page]]
    kinds = ("autofunction", "autoclass", "autoexception")
    for name in lg.__all__:
        if name in tables.MODULES:
            assert name in pages
            continue
        written = [f".. {kind}:: {shown}" for kind in kinds for shown in (name, f"lazygrad.{name}")]
        assert sum(lines.count(line) for line in written) == 1, name


def test_a_function_without_a_heading_is_refused(monkeypatch):
    monkeypatch.delitem(tables.FUNCTIONS, "Shapes")
    with pytest.raises(LookupError, match="'shape'"):
        tables.reference_pages()


def test_every_operation_is_in_the_table_with_its_derivatives():
    page = "\n".join(tables.operations_page())
    for name in table():
        assert page.count(f"   * - ``{name}``\n") == 1, name
    assert "x: ``1 - tanh(x) * tanh(x)``" in page
    assert "x: ``y`` |br| y: ``x``" in page


@pytest.mark.skipif(not HAS_COMPILER, reason="there is no C compiler")
def test_what_is_said_to_be_a_loop_is_machine_code_and_the_rest_is_not():
    loops, arrays = [], {}
    for op in table().values():
        if Trait.ELEMENTWISE not in op.traits or not op.domain:
            continue
        result, operands = tables.sample(op, [f"{op.name}_{name}" for name in "xyz"])
        own = {node.name: np.ones((), node.dtype) for node in operands}
        if tables.written_in_c(op):
            loops.append(result)
            arrays.update(own)
        else:
            with pytest.raises(lg.OptionError, match="Python"):
                lg.compile(result).bind(**own)
    assert len(loops) > 50
    lg.compile(loops).bind(**arrays)()
