"""Examples, each one command: ``python -m lazygrad.examples.moons``, and so on.

They use nothing but the library's public names; start reading with ``moons.py``.
"""
