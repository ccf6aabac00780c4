"""Modules made of others: one after another, or around a shortcut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, overload

from ..errors import OptionError, ShapeError
from ..ir.value import Value, as_value
from ..spec import differs
from .module import Module

__all__ = ["Residual", "Sequential"]

Layer: TypeAlias = "Module | Callable[[Any], Any]"


class Sequential(Module):
    """Layers that are applied one after another.

    Parameters
    ----------
    layers
        Modules, or functions of a node; or one mapping of names to them. Without any it gives its
        operand as it came. A module that stands there twice is one module: its parameters are
        shared, and listed once.

    Raises
    ------
    OptionError
        If something can't be called.

    Examples
    --------
    >>> from lazygrad import nn
    >>> rng = np.random.default_rng(0)
    >>> model = nn.Sequential(nn.Linear(3, 4, seed=rng), nn.ReLU(), nn.Linear(4, 2, seed=rng))
    >>> model(np.ones((5, 3), "f4")).shape
    (5, 2)
    >>> model[0], len(model)
    (Linear(3, 4), 3)
    """

    def __init__(self, *layers: Layer | Mapping[str, Layer]) -> None:
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            named: list[tuple[object, object]] = list(layers[0].items())
        else:
            named = list(enumerate(layers))
        self._layers: dict[str, Layer] = {}
        for name, layer in named:
            self._add(str(name), layer)

    def _add(self, name: str, layer: object) -> None:
        if not callable(layer) or isinstance(layer, type):
            hint = f"; did you mean {layer.__name__}(...)?" if isinstance(layer, type) else ""
            raise OptionError(f"Sequential: {name} must be a module or a function{hint}")
        self._layers[name] = layer

    def append(self, layer: Layer) -> Sequential:
        """Add a layer at the end, under its number."""
        self._add(str(len(self._layers)), layer)
        return self

    def forward(self, x: Any) -> Any:
        """Write all layers on *x*."""
        for layer in self._layers.values():
            x = layer(x)
        return x if self._layers else as_value(x)

    def contents(self) -> Iterator[tuple[str, object]]:
        """Give the layers by name."""
        yield from self._layers.items()

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers.values())

    @overload
    def __getitem__(self, place: int | str) -> Layer: ...

    @overload
    def __getitem__(self, place: slice) -> Sequential: ...

    def __getitem__(self, place: int | str | slice) -> Layer | Sequential:
        if isinstance(place, str):
            return self._layers[place]
        layers = list(self._layers.values())
        return Sequential(*layers[place]) if isinstance(place, slice) else layers[place]


class Residual(Module):
    """A layer added to what came: ``inner(x) + shortcut(x)``; He et al. (2016).

    Parameters
    ----------
    inner
        A module or a function.
    shortcut
        What brings *x* to the shape of the inner result, by default nothing.

    Raises
    ------
    ShapeError
        If the two have different shapes.

    Examples
    --------
    >>> from lazygrad import nn
    >>> nn.Residual(nn.Linear(3, 3, seed=0))(np.ones((5, 3), "f4")).shape
    (5, 3)
    """

    def __init__(self, inner: Layer, shortcut: Layer | None = None) -> None:
        for name, layer in (("inner", inner), ("shortcut", shortcut)):
            if not callable(layer) and not (layer is None and name == "shortcut"):
                raise OptionError(
                    f"Residual: {name} must be a module or a function, got {layer!r}."
                )
        self.inner = inner
        self.shortcut = shortcut

    def forward(self, x: Any) -> Value:
        """Write both ways and their sum."""
        node = as_value(x)
        inner: Value = self.inner(node)
        beside: Value = node if self.shortcut is None else self.shortcut(node)
        if inner.ndim != beside.ndim or any(map(differs, inner.shape, beside.shape)):
            what = "what came" if self.shortcut is None else "the shortcut"
            raise ShapeError(
                f"Residual: the inner result is {inner.spec}, {what} {beside.spec};"
                " a shortcut must bring them to one shape."
            )
        return inner + beside
