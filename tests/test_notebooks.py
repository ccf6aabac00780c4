"""Every notebook runs from a clean kernel, and what is committed shows what it gave."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_BYTES = 500_000
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
# A file of somebody's machine, or of the kernel's.
PATH = re.compile(r"(?<![\w.])/(?:tmp|home|root|usr|opt|var|mnt|work|Users)/|[A-Z]:\\\\|ipykernel_")

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path, kind):
    """The cells of a kind in a notebook."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def unwanted(outputs):
    """What a reader shouldn't find among the outputs of a cell: errors, warnings."""
    for output in outputs:
        if output["output_type"] == "error":
            yield output["ename"]
        elif output.get("name") == "stderr":
            yield "".join(output["text"])


def test_there_are_notebooks():
    numbers = [path.stem.partition("_")[0] for path in NOTEBOOKS]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    assert numbers


@every_notebook
def test_a_notebook_runs_from_a_clean_kernel(path, tmp_path, monkeypatch):
    reason = "notebooks are run with the extra demo"
    nbclient = pytest.importorskip("nbclient", reason=reason)
    nbformat = pytest.importorskip("nbformat", reason=reason)
    for package in ("ipykernel", "matplotlib", "scipy"):
        pytest.importorskip(package, reason=reason)
    here, settings = tmp_path / "here", tmp_path / "settings"
    here.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(settings))
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": here}}
    )
    # An exception in a cell is one here.
    client.execute()
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            # Without a C compiler programs run on NumPy, and say so.
            said = [text for text in unwanted(cell.outputs) if "BackendWarning" not in text]
            assert said == [], f"cell {number}"
    assert list(here.iterdir()) == []


@every_notebook
def test_a_notebook_is_committed_as_it_ran(path):
    code = cells(path, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert all(list(unwanted(cell["outputs"])) == [] for cell in code)
    assert sum(bool(cell["outputs"]) for cell in code) > len(code) / 2
    assert path.stat().st_size < MOST_BYTES


@every_notebook
def test_a_notebook_names_no_file_of_a_machine(path):
    assert PATH.findall(path.read_text(encoding="utf-8")) == []


@every_notebook
def test_the_links_of_a_notebook_lead_somewhere(path):
    for cell in cells(path, "markdown"):
        for target in LINK.findall("".join(cell["source"])):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
