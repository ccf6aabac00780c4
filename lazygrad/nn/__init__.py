"""Layers, losses and initialisers: plain code on the library's public names."""

from typing import TYPE_CHECKING

from . import (
    activations,
    attention,
    classification,
    containers,
    convolution,
    dropout,
    initializers as initializers,
    linear,
    losses,
    module,
    normalization,
    perceptron,
    pooling,
    recurrent,
)
from .activations import *
from .attention import *
from .classification import *
from .containers import *
from .convolution import *
from .dropout import *
from .linear import *
from .losses import *
from .module import *
from .normalization import *
from .perceptron import *
from .pooling import *
from .recurrent import *

# A type checker can't read this list, and without one takes what the stars bring as public.
if not TYPE_CHECKING:
    __all__ = [
        "initializers",
        *activations.__all__,
        *attention.__all__,
        *classification.__all__,
        *containers.__all__,
        *convolution.__all__,
        *dropout.__all__,
        *linear.__all__,
        *losses.__all__,
        *module.__all__,
        *normalization.__all__,
        *perceptron.__all__,
        *pooling.__all__,
        *recurrent.__all__,
    ]
