"""What a module is without a call: a record of layers inside layers, for pictures."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Layer"]


@dataclass(frozen=True)
class Layer:
    """A layer: its name in the one around it, its kind and options, its variables, what is in it.

    Each variable is a name, a dtype with a shape, and how many numbers of it are trained.
    """

    name: str
    kind: str
    variables: tuple[tuple[str, str, int], ...]
    inside: tuple[Layer, ...]

    @property
    def form(self) -> tuple[object, ...]:
        """What is equal in layers that look the same but for their names."""
        return self.kind, self.variables, tuple((each.name, each.form) for each in self.inside)

    @property
    def parameters(self) -> int:
        """How many numbers are trained, in it and in what is inside."""
        return sum(count for _, _, count in self.variables) + sum(
            each.parameters for each in self.inside
        )
