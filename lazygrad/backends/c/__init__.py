"""The C backend: fused kernels, elementary functions, a compiler and its cache."""

from .bind import bind, bind_arrays
from .toolchain import CompilerError

__all__ = ["CompilerError", "bind", "bind_arrays"]
