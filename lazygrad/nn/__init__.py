"""Layers, losses and initialisers: plain code on the library's public names."""

from .module import Module, Parameter, buffer, generator, parameter

__all__ = ["Module", "Parameter", "buffer", "generator", "parameter"]
