"""What all optimizers do: walk parameters, keep state in variables, write the updates.

A subclass says what state one parameter has and writes one parameter's update as an expression.
Everything that changes lives in named variables: state, counts of updates, rates. So an update is
part of whatever program it is compiled into, and a checkpoint is a few arrays by name.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np

import lazygrad as lg
from lazygrad.errors import DisconnectedError, DTypeError, OptionError, ShapeError

from .checks import Check, more_than_zero
from .clipping import clip_by_global_norm, clip_by_value
from .rates import Rate, RateSource

__all__ = ["Array", "Group", "Optimizer", "Parameters", "State"]

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
State: TypeAlias = "Mapping[str, lg.Value]"
"""What an optimizer remembers of one parameter, by names of its own."""

Parameters: TypeAlias = (
    "lg.Value | Iterable[lg.Value] | Mapping[str, lg.Value]"
    " | Iterable[Mapping[str, Any]] | Iterable[Group]"
)
"""Variables; variables by name; or groups, as records or as dicts with the key "parameters"."""

_PROGRAMS_KEPT = 16


@dataclass(frozen=True)
class Group:
    """Parameters with a rate and options of their own.

    Parameters
    ----------
    parameters
        Variables, or variables by name.
    rate
        By default the optimizer's own.
    options
        Options of the optimizer, by name, that are different here.
    """

    parameters: lg.Value | Iterable[lg.Value] | Mapping[str, lg.Value]
    rate: Rate | None = None
    options: Mapping[str, object] = field(default_factory=dict)


class Optimizer:
    """Base of all optimizers.

    Parameters
    ----------
    rate
        A number, which can be changed later; a schedule, called with the count of updates; an
        iterable of rates, one for each `advance` or `step`; or a node without axes.
    parameters
        What `step` updates and `minimize` updates by default. See `Group` for groups. Without
        them, `minimize` takes what it finds, and there is no `step`.
    clip_value
        Bounds every element of the gradients.
    clip_norm
        Bounds the norm of all gradients of one update together, after *clip_value*.
    options
        What the subclass has besides, by name; each is checked by its entry in `checks`, becomes
        an attribute, and may be different in a group.

    Examples
    --------
    >>> class Descent(Optimizer):
    ...     def initial_state(self, parameter):
    ...         return {}
    ...     def update(self, parameter, gradient, state, rate, step):
    ...         return parameter - rate * gradient, {}
    >>> w = lg.variable(3.0, name="w")
    >>> program = lg.compile(w * w, updates=Descent(0.25).minimize(w * w))
    >>> program(), program(), w.data
    (np.float64(9.0), np.float64(2.25), array(0.75))
    """

    checks: ClassVar[Mapping[str, Check]] = {}
    """The options of a subclass, each with the function that reads it."""

    def __init__(
        self,
        rate: Rate,
        *,
        parameters: Parameters | None = None,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        options: Mapping[str, object] | None = None,
    ) -> None:
        self.name = type(self).__name__
        self.clip_value = self._limit("clip_value", clip_value)
        self.clip_norm = self._limit("clip_norm", clip_norm)
        vars(self).update(self._checked(options or {}))
        self._state: dict[lg.Value, dict[str, lg.Value]] = {}
        self._names: dict[lg.Value, str] = {}
        self._count_of: dict[lg.Value, lg.Value] = {}
        self._counts: list[lg.Value] = []
        self._programs: dict[tuple[int, ...], tuple[lg.Program, list[tuple[str, lg.Value]]]] = {}
        self._group_of: dict[lg.Value, int] = {}
        groups = [Group(())] if parameters is None else self._read_groups(parameters)
        self._options = [self._checked(group.options) for group in groups]
        self._is_bound = parameters is not None
        prefix = self.name.lower()
        self._rates = [
            RateSource(
                self.name,
                rate if group.rate is None else group.rate,
                f"{prefix}.rate" if len(groups) == 1 else f"{prefix}.rate.{place}",
            )
            for place, group in enumerate(groups)
        ]
        if self._is_bound:
            self._join(list(self._group_of))

    # What a subclass writes.

    def initial_state(self, parameter: lg.Value) -> Mapping[str, Array]:
        """Give the arrays that are remembered of a parameter before its first update, by name."""
        raise NotImplementedError(f"{self.name} needs an initial_state(parameter).")

    def update(
        self,
        parameter: lg.Value,
        gradient: lg.Value,
        state: State,
        rate: lg.Value,
        step: lg.Value,
    ) -> tuple[lg.Value, State]:
        """Write a parameter's new value and new state.

        *gradient* and *rate* have the parameter's dtype; *step* is an int64 node that is 1 in the
        first update.
        """
        raise NotImplementedError(f"{self.name} needs an update(...).")

    # What a user calls.

    def minimize(
        self, loss: lg.Value, parameters: Parameters | None = None
    ) -> list[tuple[lg.Value, lg.Value]]:
        """Give the updates of one step against the gradient of *loss*, for ``lg.compile``.

        Parameters
        ----------
        loss
            A node with one element.
        parameters
            By default those that the optimizer was made with, or else every float variable below
            the loss that requires a gradient. What requires none, being frozen, is left out.

        Returns
        -------
        list of pairs
            Each parameter, state variable and count with its new value. State belongs to the
            parameter: a second call goes on with it.

        Raises
        ------
        DisconnectedError
            If the loss doesn't depend on a parameter.
        """
        chosen = self.chosen(loss, parameters)
        try:
            gradients = lg.grad(loss, chosen)
        except DisconnectedError as error:
            raise DisconnectedError(f"{self.name}.minimize: {error}") from None
        return self.apply(list(zip(chosen, gradients, strict=True)))

    def chosen(self, loss: lg.Value, parameters: Parameters | None = None) -> list[lg.Value]:
        """List the parameters that `minimize` updates."""
        if not isinstance(loss, lg.Value):
            raise OptionError(f"{self.name}: the loss must be a node, got {type(loss).__name__}.")
        if any(length != 1 for length in loss.shape):
            raise ShapeError(
                f"{self.name}: the loss must be one number, got {loss.spec}; take its mean or sum."
            )
        if parameters is not None:
            found = self._read_parameters(parameters)
        elif self._is_bound:
            found = list(self._group_of)
        else:
            found = self._below(loss)
        trained = [parameter for parameter in found if parameter.requires_grad]
        if not trained:
            raise OptionError(f"{self.name}: none of the parameters requires a gradient.")
        return trained

    def apply(
        self, gradients: Mapping[lg.Value, lg.Value] | Sequence[tuple[lg.Value, lg.Value]]
    ) -> list[tuple[lg.Value, lg.Value]]:
        """Give the updates for gradients of your own: each parameter with a node of its shape."""
        pairs = list(gradients.items() if isinstance(gradients, Mapping) else gradients)
        parameters = self._read_parameters([parameter for parameter, _ in pairs])
        self._join(parameters)
        given = [self._read_gradient(parameter, gradient) for parameter, gradient in pairs]
        with lg.scope(self.name.lower()):
            return self._updates(parameters, self._clipped(given))

    def step(self) -> None:
        """Update the parameters by their ``.grad``, in one compiled program.

        Parameters without a gradient are left as they are, and so is their state.
        """
        if not self._is_bound:
            raise OptionError(
                f"{self.name}.step: it needs the parameters, {self.name}(..., parameters=...)."
            )
        ready = [p for p in self._group_of if p.requires_grad and p.grad is not None]
        if not ready:
            raise OptionError(
                f"{self.name}.step: no parameter has a gradient; call backward of the loss first."
            )
        key = tuple(map(id, ready))
        if key not in self._programs:
            if len(self._programs) >= _PROGRAMS_KEPT:
                del self._programs[next(iter(self._programs))]
            self._programs[key] = self._program(ready)
        program, fed = self._programs[key]
        self.advance()
        program(**{name: np.asarray(parameter.grad) for name, parameter in fed})

    def zero_grad(self) -> None:
        """Do nothing: each ``backward`` replaces the gradients of the one before."""

    def advance(self) -> None:
        """Go on to the next rate, where the rate was given as an iterable.

        `step` does it by itself; before each call of a compiled program it is yours to call. The
        first call stays with the first rate.

        >>> from lazygrad import optim
        >>> opt = optim.SGD(0.5 / n for n in (1, 2))
        >>> opt.rate, opt.advance(), opt.rate, opt.advance(), opt.rate
        (0.5, None, 0.5, None, 0.25)
        """
        for source in self._rates:
            source.advance()

    @property
    def rate(self) -> float:
        """The rate of the next update, of the first group if there are several.

        Setting it sets the rate of every group, in programs that are compiled too.
        """
        return self.rates[0]

    @rate.setter
    def rate(self, rate: float) -> None:
        for source in self._rates:
            source.write(rate)

    @property
    def rates(self) -> tuple[float, ...]:
        """The rate of each group."""
        count = self._counts[0] if self._counts else None
        return tuple(source.read(count) for source in self._rates)

    @rates.setter
    def rates(self, rates: Sequence[float]) -> None:
        given = list(rates)
        if len(given) != len(self._rates):
            raise OptionError(
                f"{self.name}: there are {len(self._rates)} groups, got {len(given)} rates."
            )
        for source, rate in zip(self._rates, given, strict=True):
            source.write(rate)

    def state_variables(self) -> dict[str, lg.Value]:
        """Give everything that changes from update to update, by name, for a checkpoint.

        State is there from the start for the parameters that the optimizer was made with, for
        others from their first `minimize` on.
        """
        prefix = self.name.lower()
        found: dict[str, lg.Value] = {}
        for source in self._rates:
            if source.variable is not None:
                found[str(source.variable.name)] = source.variable
        found.update({str(count.name): count for count in self._counts})
        for parameter, slots in self._state.items():
            for slot, variable in slots.items():
                found[f"{prefix}.{slot}.{self._names[parameter]}"] = variable
        return found

    def __setattr__(self, name: str, value: object) -> None:
        if name in self.checks or (name in ("clip_value", "clip_norm") and "_rates" in vars(self)):
            raise OptionError(
                f"{self.name}: {name} is part of what was compiled and can't be changed; the rate"
                " can, opt.rate = ..."
            )
        object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_programs": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def __repr__(self) -> str:
        options = "".join(f", {name}={getattr(self, name)!r}" for name in self.checks)
        return f"{self.name}({self.rate:g}{options})"

    # How it is done.

    def _limit(self, what: str, given: float | None) -> float | None:
        return None if given is None else more_than_zero(f"{self.name}: {what}", given)

    def _checked(self, options: Mapping[str, object]) -> dict[str, object]:
        found = {}
        for name, given in options.items():
            if name not in self.checks:
                near = difflib.get_close_matches(str(name), ["parameters", "rate", *self.checks])
                hint = f"; did you mean {near[0]!r}?" if near else ""
                known = ", ".join(self.checks) or "none"
                raise OptionError(
                    f"{self.name}: {name!r} is no option; its options are: {known}{hint}"
                )
            found[name] = self.checks[name](f"{self.name}: {name}", given)
        return found

    def _read_groups(self, given: Parameters) -> list[Group]:
        """Read the parameters that the optimizer is made with, and note the group of each."""
        groups: list[Group]
        if isinstance(given, Group):
            groups = [given]
        elif isinstance(given, (lg.Value, Mapping)):
            groups = [Group(given)]
        else:
            listed = _listed(given)
            if listed is None:
                raise self._no_parameters(given)
            grouped = [isinstance(entry, (Group, Mapping)) for entry in listed]
            if any(grouped) and not all(grouped):
                raise OptionError(
                    f"{self.name}: parameters are either all in groups or none of them."
                )
            groups = [self._read_group(entry) for entry in listed] if any(grouped) else []
            groups = groups or [Group(listed)]
        for place, group in enumerate(groups):
            for parameter in self._read_parameters(group.parameters):
                if parameter in self._group_of:
                    raise OptionError(
                        f"{self.name}: {self._names[parameter]!r} is in two groups,"
                        f" {self._group_of[parameter]} and {place}."
                    )
                self._group_of[parameter] = place
        return groups

    def _read_group(self, entry: Group | Mapping[str, Any]) -> Group:
        if isinstance(entry, Group):
            return entry
        options = dict(entry)
        if "parameters" not in options:
            raise OptionError(
                f'{self.name}: a group needs the key "parameters", got {list(options)}.'
            )
        return Group(options.pop("parameters"), options.pop("rate", None), options)

    def _no_parameters(self, given: object) -> OptionError:
        hint = "; pass model.parameters()" if hasattr(given, "parameters") else ""
        return OptionError(
            f"{self.name}: parameters must be variables, got {type(given).__name__}{hint}."
        )

    def _read_parameters(self, given: object) -> list[lg.Value]:
        """List variables, and give those that are new a name."""
        if isinstance(given, lg.Value):
            entries: list[Any] = [given]
        elif isinstance(given, Mapping):
            entries = list(given.items())
        else:
            listed = _listed(given)
            if listed is None:
                raise self._no_parameters(given)
            entries = listed
        if not entries:
            raise OptionError(f"{self.name}: the list of parameters is empty.")
        found: dict[lg.Value, None] = {}
        for entry in entries:
            is_named = isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str)
            name, parameter = entry if is_named else (None, entry)
            self._require_variable(parameter)
            if parameter in found:
                raise OptionError(f"{self.name}: {_shown(parameter)} is given twice.")
            found[parameter] = None
            self._give_name(parameter, name)
        return list(found)

    def _require_variable(self, parameter: object) -> None:
        if not isinstance(parameter, lg.Value):
            raise self._no_parameters(parameter)
        if parameter.cell is None:
            raise OptionError(
                f"{self.name}: a parameter must be a variable, got {_shown(parameter)},"
                f" a {parameter.op.name}."
            )
        if parameter.dtype.kind != "f":
            raise DTypeError(
                f"{self.name}: a parameter must be of a float dtype, {_shown(parameter)} is"
                f" {parameter.dtype.name}."
            )

    def _give_name(self, parameter: lg.Value, name: str | None) -> None:
        """Name a parameter for its state; names that several have are numbered."""
        if parameter in self._names:
            return
        wanted = name or parameter.name or "parameter"
        taken = set(self._names.values())
        found, number = wanted, 0
        while found in taken:
            number += 1
            found = f"{wanted}.{number}"
        self._names[parameter] = found

    def _below(self, loss: lg.Value) -> list[lg.Value]:
        """List the float variables that a gradient of *loss* can reach, oldest first."""
        seen: dict[lg.Value, None] = {}
        stack = [loss]
        while stack:
            node = stack.pop()
            if node.requires_grad and node not in seen:
                seen[node] = None
                stack.extend(node.operands)
        leaves = [node for node in seen if node.cell is not None]
        found = sorted((v for v in leaves if v.dtype.kind == "f"), key=lambda node: node.serial)
        if not found:
            other = "".join(f"; {_shown(v)} is {v.dtype.name}" for v in leaves)
            raise OptionError(
                f"{self.name}: no float variable that requires a gradient is below the loss{other}."
            )
        return self._read_parameters(found)

    def _join(self, parameters: list[lg.Value]) -> None:
        """Give parameters that are new their state, and one count of updates together."""
        if self._is_bound:
            for parameter in parameters:
                if parameter not in self._group_of:
                    raise OptionError(
                        f"{self.name}: {_shown(parameter)} is not among the parameters that the"
                        " optimizer was made with."
                    )
        new = [parameter for parameter in parameters if parameter not in self._state]
        if not new:
            return
        prefix = self.name.lower()
        states = {parameter: self._new_state(parameter) for parameter in new}
        # Parameters that join later have made fewer updates, which bias corrections must know.
        number = f".{len(self._counts)}" if self._counts else ""
        count = lg.variable(np.array(0, np.int64), name=f"{prefix}.step{number}")
        count.requires_grad = False
        self._counts.append(count)
        for parameter, state in states.items():
            self._state[parameter] = state
            self._count_of[parameter] = count

    def _new_state(self, parameter: lg.Value) -> dict[str, lg.Value]:
        prefix, name = self.name.lower(), self._names[parameter]
        found = {}
        for slot, array in self._in_group(parameter).initial_state(parameter).items():
            variable = lg.variable(array, name=f"{prefix}.{slot}.{name}")
            variable.requires_grad = False
            found[slot] = variable
        return found

    def _in_group(self, parameter: lg.Value) -> Optimizer:
        """Give the optimizer with the options of a parameter's group."""
        options = self._options[self._group_of.get(parameter, 0)]
        if not options:
            return self
        twin = copy.copy(self)
        vars(twin).update(options)
        return twin

    def _read_gradient(self, parameter: lg.Value, gradient: object) -> lg.Value:
        if not isinstance(gradient, lg.Value):
            raise OptionError(
                f"{self.name}.apply: the gradient of {_shown(parameter)} must be a node, got"
                f" {type(gradient).__name__}."
            )
        if gradient.shape != parameter.shape:
            raise ShapeError(
                f"{self.name}.apply: the gradient of {_shown(parameter)} must be"
                f" {parameter.spec}, got {gradient.spec}."
            )
        return gradient.astype(parameter.dtype)

    def _clipped(self, gradients: list[lg.Value]) -> list[lg.Value]:
        if self.clip_value is not None:
            gradients = clip_by_value(gradients, self.clip_value)
        if self.clip_norm is not None:
            gradients = clip_by_global_norm(gradients, self.clip_norm)
        return gradients

    def _updates(
        self, parameters: list[lg.Value], gradients: list[lg.Value]
    ) -> list[tuple[lg.Value, lg.Value]]:
        states: list[tuple[lg.Value, lg.Value]] = []
        pairs: list[tuple[lg.Value, lg.Value]] = []
        following = {count: count + 1 for count in self._counts}
        rates: dict[tuple[int, lg.Value, Any], lg.Value] = {}
        for parameter, gradient in zip(parameters, gradients, strict=True):
            place, count = self._group_of.get(parameter, 0), self._count_of[parameter]
            key = (place, count, parameter.dtype)
            if key not in rates:
                rates[key] = self._rates[place].node(count).astype(parameter.dtype)
            state = self._state[parameter]
            new, remembered = self._in_group(parameter).update(
                parameter, gradient, state, rates[key], following[count]
            )
            pairs.append((parameter, new))
            states += [(state[slot], value) for slot, value in remembered.items()]
        counted = dict.fromkeys(self._count_of[parameter] for parameter in parameters)
        return [*pairs, *states, *((count, following[count]) for count in counted)]

    def _program(self, parameters: list[lg.Value]) -> tuple[lg.Program, list[tuple[str, lg.Value]]]:
        """Compile the update of some parameters by gradients that are fed."""
        fed = [(f"gradient.{self._names[parameter]}", parameter) for parameter in parameters]
        gradients = [
            (parameter, lg.placeholder(parameter.shape, dtype=parameter.dtype, name=name))
            for name, parameter in fed
        ]
        return lg.compile([], updates=self.apply(gradients), name=f"{self.name}.step"), fed


def _listed(given: object) -> list[Any] | None:
    """List what can be iterated over; None for anything else."""
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        return None
    return list(given)


def _shown(node: lg.Value) -> str:
    return repr(node.name) if node.name is not None else f"an unnamed {node.op.name} of {node.spec}"
