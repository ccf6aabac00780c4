"""Import the package once, before pytest collects its modules for their docstring examples."""

import numpy as np
import pytest

import lazygrad as lg


@pytest.fixture(autouse=True)
def _docstring_names(doctest_namespace: dict[str, object]) -> None:
    names = ("Value", "compile", "constant", "no_grad", "placeholder")
    doctest_namespace.update({name: getattr(lg, name) for name in names}, lg=lg, np=np)
