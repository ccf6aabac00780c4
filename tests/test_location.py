"""Lines of users are told by the names that their tools show."""

import sys
from types import SimpleNamespace

from lazygrad.location import Location


def shell_that_names(cells):
    """What IPython gives, as far as names of cells go."""
    compiler = SimpleNamespace(
        format_code_name=lambda file: ("Cell", cells[file]) if file in cells else None
    )
    return SimpleNamespace(get_ipython=lambda: SimpleNamespace(compile=compiler))


def test_a_line_of_a_file_is_told_without_its_folder(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert str(Location("/somewhere/train.py", 12)) == "train.py:12"


def test_a_line_of_a_cell_is_told_by_its_number(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", shell_that_names({"/kernel/123.py": "In[3]"}))
    assert str(Location("/kernel/123.py", 12)) == "In[3]:12"
    assert str(Location("/somewhere/train.py", 12)) == "train.py:12"


def test_ipython_without_a_shell_changes_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert str(Location("/somewhere/train.py", 12)) == "train.py:12"
