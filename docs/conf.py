"""How Sphinx builds these pages."""

import sys
from importlib import import_module
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "extensions"), str(Path(__file__).parents[1])]


project = "lazygrad"
author = "lazygrad contributors"
project_copyright = author
release = version = import_module("lazygrad").__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "generated_tables",
]
exclude_patterns = ["_build"]
root_doc = "index"

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
default_role = "literal"

myst_heading_anchors = 3

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["wide.css"]
html_title = "lazygrad"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
pygments_style = "friendly"
