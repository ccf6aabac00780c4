"""What all layers have in common: parameters found by name, modes, and a readable form.

A module holds variables and other modules and writes expressions; it computes nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary, ref

import numpy as np

from ..errors import GraphError, OptionError
from ..ir.op import call
from ..ir.value import Value, scope, variable
from ..ops import by_mode
from .layer import Layer
from .summary import Summary, called, noted, results_of, summarize

if TYPE_CHECKING:
    from ..spec import DTypeLike

__all__ = ["Module", "Parameter", "buffer", "generator", "parameter"]

_Self = TypeVar("_Self", bound="Module")

_UNDECIDED = -1
# Whether a module is being called from the forward of another one.
_is_inside: ContextVar[bool] = ContextVar("is_inside", default=False)


def parameter(data: object, *, dtype: DTypeLike | None = np.float32) -> Value:
    """Make a variable that training changes; float32 unless another dtype is asked for.

    >>> parameter([1.0, 2.0]).dtype
    dtype('float32')
    """
    return variable(data, dtype=dtype)


# Users of other libraries look for a class.
Parameter = parameter


def buffer(data: object, *, dtype: DTypeLike | None = np.float32) -> Value:
    """Make a variable that belongs to a module's state but has no gradient: a running statistic.

    >>> buffer([0.0, 0.0]).requires_grad
    False
    """
    made = variable(data, dtype=dtype)
    made.requires_grad = False
    return made


# What the latest call of a module gave, as long as somebody holds it.
_latest: WeakKeyDictionary[Module, list[ref[Value]]] = WeakKeyDictionary()


class Module:
    """Base of layers and models: subclass it, fill attributes in ``__init__``, write ``__call__``.

    Parameters, buffers and submodules are found in attributes, and in lists, tuples and
    dictionaries of them, however nested; their names are the paths that lead to them.

    Examples
    --------
    >>> class Scale(Module):
    ...     def __init__(self) -> None:
    ...         self.factor = parameter(2.0)
    ...
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> dict(Scale().named_parameters())
    {'factor': Value(data=2.0, grad=None)}
    """

    def forward(self, *operands: Any, **options: Any) -> Any:
        """Write the layer's expression; subclasses say how."""
        raise OptionError(
            f"{type(self).__name__} doesn't say how it is applied: it has no forward."
        )

    def __call__(self, *operands: Any, **options: Any) -> Any:
        """Write the layer's expression, grouped under the layer's path and name."""
        if _is_inside.get():
            return self._called(operands, options)
        self._name_all_below()
        token = _is_inside.set(True)
        try:
            return self._called(operands, options)
        finally:
            _is_inside.reset(token)

    def _called(self, operands: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        with scope(self.scope_name()):
            try:
                path = self.__dict__.get("_path", "")
                given = noted(self, path, lambda: self.forward(*operands, **options))
                _latest[self] = [ref(node) for node in results_of(given)]
                return given
            except GraphError as error:
                if not hasattr(error, "layer"):
                    error.layer = self.scope_name()  # type: ignore[attr-defined]
                    error.args = (f"{error}\n  in the layer {error.layer}",)  # type: ignore[attr-defined]
                raise

    def scope_name(self) -> str:
        """Give the name under which the layer's nodes are grouped in text and pictures."""
        name = type(self).__name__
        path = self.__dict__.get("_path", "")
        return f"{path}: {name}" if path else name

    def _name_all_below(self) -> None:
        """Name what has no name yet by the paths that lead to it from here."""
        for path, module in self.named_modules():
            if path:
                module.__dict__.setdefault("_path", path)
        for path, entry in self.named_variables():
            if entry.name is None:
                entry.name = path

    @property
    def mode(self) -> Value:
        """The variable that says whether this module trains: 1, 0, or -1 while undecided."""
        if "_mode" not in self.__dict__:
            flag = variable(np.int8(_UNDECIDED), name="training")
            flag.requires_grad = False
            self.__dict__["_mode"] = flag
        return self.__dict__["_mode"]  # type: ignore[no-any-return]

    @property
    def training(self) -> bool | None:
        """Whether ``forward`` of this module's nodes runs the training branch.

        None until ``train()`` or ``eval()`` was called: then a layer that behaves differently in
        training raises ModeError when its nodes are looked at. Compiled programs don't ask.
        """
        mode = int(self.mode.data)
        return None if mode == _UNDECIDED else bool(mode)

    def by_mode(self, train: Any, evaluate: Any) -> Value:
        """Give one value in training mode and another otherwise; programs settle the mode."""
        return by_mode(train, evaluate, flag=self.mode)

    def train(self: _Self, mode: bool = True) -> _Self:
        """Put this module and all below it into training mode, or with False out of it."""
        for _, module in self.named_modules():
            module.mode.data = int(bool(mode))
        return self

    def eval(self: _Self) -> _Self:
        """Put this module and all below it into evaluation mode."""
        return self.train(False)

    def contents(self) -> Iterator[tuple[str, object]]:
        """Give what is searched for variables and modules, by name: the public attributes."""
        for name, entry in vars(self).items():
            if not name.startswith("_"):
                yield name, entry

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Give the modules directly inside this one, with the paths that lead to them."""
        for path, entry in _found(self):
            if isinstance(entry, Module):
                yield path, entry

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Give this module and all below it with their full paths, each once."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            path, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield path, module
            below = [(_joined(path, name), child) for name, child in module.named_children()]
            stack.extend(reversed(below))

    def named_variables(self) -> Iterator[tuple[str, Value]]:
        """Give parameters and buffers with their full paths, each once."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, entry in _found(module):
                if isinstance(entry, Value) and entry.cell is not None and id(entry) not in seen:
                    seen.add(id(entry))
                    yield _joined(path, name), entry

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """Give the variables that require a gradient, and those that were frozen, by full path."""
        for path, entry in self.named_variables():
            if entry.requires_grad or id(entry) in self._frozen():
                yield path, entry

    def named_buffers(self) -> Iterator[tuple[str, Value]]:
        """Give the variables that were never trained, by full path."""
        frozen = self._frozen()
        for path, entry in self.named_variables():
            if not entry.requires_grad and id(entry) not in frozen:
                yield path, entry

    def parameters(self) -> list[Value]:
        """List the parameters, frozen ones included."""
        return [entry for _, entry in self.named_parameters()]

    def trainable_parameters(self) -> list[Value]:
        """List the parameters that require a gradient."""
        return [entry for entry in self.parameters() if entry.requires_grad]

    def state(self) -> dict[str, Value]:
        """Give every parameter and buffer by its full path."""
        return dict(self.named_variables())

    @property
    def frozen(self) -> bool:
        """Whether this module was frozen, and not unfrozen since."""
        return "_frozen_here" in self.__dict__

    def freeze(self: _Self) -> _Self:
        """Keep the parameters of this module and all below it from being trained.

        Running statistics stay too: a frozen `BatchNorm` uses them in training as in evaluation.
        Graphs that are already written are not changed; freeze before writing the loss.
        """
        for _, module in self.named_modules():
            kept = module.__dict__.setdefault("_frozen_here", [])
            for _, entry in _found(module):
                if isinstance(entry, Value) and entry.requires_grad:
                    kept.append(entry)
                    entry.requires_grad = False
        return self

    def unfreeze(self: _Self) -> _Self:
        """Let the parameters that were frozen be trained again."""
        for _, module in self.named_modules():
            for entry in module.__dict__.pop("_frozen_here", []):
                entry.requires_grad = True
        return self

    def _frozen(self) -> set[int]:
        return {
            id(entry)
            for _, module in self.named_modules()
            for entry in module.__dict__.get("_frozen_here", ())
        }

    def apply(self: _Self, function: Callable[[Module], object]) -> _Self:
        """Call *function* with every module below this one, and then with this one."""
        for _, module in reversed(list(self.named_modules())):
            function(module)
        return self

    def count_parameters(self, *, trainable: bool = False) -> int:
        """Count the numbers in all parameters, or in those that are trained."""
        chosen = self.trainable_parameters() if trainable else self.parameters()
        return sum(map(_numbers, chosen))

    def summary(self, *inputs: Any) -> Summary:
        """Give a table of the layers that a call takes part in: results, parameters, flops.

        An input is a node, an array, a `Spec`, or a shape, which stands for float32. Each row is
        of a layer's own, without the layers inside it.

        >>> from lazygrad import nn
        >>> print(nn.Sequential(nn.Linear(3, 4), nn.ReLU()).summary(("batch", 3)))
        name   layer       output      dtype    parameters  bytes     flops
        -------------------------------------------------------------------
               Sequential  [batch, 4]  float32           0      0         0
        0      Linear      [batch, 4]  float32          16     64  28*batch
        1      ReLU        [batch, 4]  float32           0      0   4*batch
        -------------------------------------------------------------------
        total                                           16     64  32*batch
        """
        return summarize(self, inputs)

    def drawn_nodes(self, *inputs: Any) -> list[Value]:
        """Give what a call on inputs gives, for a picture; without inputs the latest call's.

        Inputs are as in `summary`. There is none of the latest call if nobody holds its results.

        >>> from lazygrad import nn
        >>> [node.spec for node in nn.Linear(3, 4).drawn_nodes(("batch", 3))]
        [float32[batch, 4]]
        """
        if inputs:
            return results_of(called(self, inputs))
        held = [reference() for reference in _latest.get(self, ())]
        found = [node for node in held if node is not None]
        return found if len(found) == len(held) else []

    def layer(self) -> Layer:
        """Describe this module and all inside it, for a picture of what was not called yet."""
        return self._layer("")

    def _layer(self, name: str) -> Layer:
        options = self.extra_repr()
        return Layer(
            name,
            f"{type(self).__name__}({options})" if options else type(self).__name__,
            tuple(
                (path, str(entry.spec), _numbers(entry) if self.is_parameter(entry) else 0)
                for path, entry in _found(self)
                if isinstance(entry, Value) and entry.cell is not None
            ),
            tuple(child._layer(path) for path, child in self.named_children()),
        )

    def _repr_mimebundle_(self, **options: object) -> dict[str, str]:
        bundle: dict[str, str] = call("notebook", self)
        return bundle

    def own_variables(self) -> list[Value]:
        """List the parameters and buffers of this module itself, without those inside."""
        return [
            entry
            for _, entry in _found(self)
            if isinstance(entry, Value) and entry.cell is not None
        ]

    def is_parameter(self, variable: Value) -> bool:
        """Whether a variable of this module is trained, or was until it was frozen."""
        return variable.requires_grad or id(variable) in self._frozen()

    def zero_grad(self) -> None:
        """Do nothing: each backward stands alone, so there is nothing to zero."""

    def extra_repr(self) -> str:
        """Say what a repr shows between the parentheses: sizes and options."""
        return ""

    def __repr__(self) -> str:
        children = list(self.named_children())
        head = f"{type(self).__name__}({self.extra_repr()}"
        if not children:
            return head + ")"
        rows = [f"  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in children]
        return "\n".join([head, *rows, ")"])


def _numbers(variable: Value) -> int:
    return int(np.prod(variable.data.shape))


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _found(module: Module) -> Iterator[tuple[str, object]]:
    """Give the variables and modules in a module's attributes, lists and dictionaries."""
    stack: list[tuple[str, object]] = list(module.contents())[::-1]
    while stack:
        path, entry = stack.pop()
        if isinstance(entry, (Value, Module)):
            yield path, entry
        elif isinstance(entry, Mapping):
            stack.extend(reversed([(f"{path}.{key}", inner) for key, inner in entry.items()]))
        elif isinstance(entry, (list, tuple)):
            stack.extend(reversed([(f"{path}.{i}", inner) for i, inner in enumerate(entry)]))


def generator(seed: int | np.random.Generator) -> np.random.Generator:
    """Give NumPy's generator for a seed; a generator stays itself and goes on.

    >>> generator(0).integers(10) == generator(0).integers(10)
    np.True_
    """
    return seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)
