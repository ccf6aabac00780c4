"""The C backend: fused kernels, elementary functions, a compiler and its cache."""

from .bind import bind
from .toolchain import CompilerError

__all__ = ["CompilerError", "bind"]
