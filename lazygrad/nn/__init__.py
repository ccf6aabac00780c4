"""Layers, losses and initialisers: plain code on the library's public names."""

from .module import Module, buffer, generator, parameter

__all__ = ["Module", "buffer", "generator", "parameter"]
