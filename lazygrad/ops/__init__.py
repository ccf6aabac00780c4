"""The operations, one declaration each, in families. Importing a family fills the table."""

from typing import TYPE_CHECKING

from . import (
    activations,
    arithmetic,
    compositions,
    control,
    convolution,
    cumulative,
    custom,
    differences,
    einstein,
    elementary,
    factorizations,
    indexing,
    join,
    layout,
    linalg,
    order,
    patches,
    pooling,
    probabilities,
    products,
    protocol,
    random,
    reduce,
    rounding,
    scatter,
    shape,
    slices,
    special,
    statistics,
    updates,
    window,
)
from .activations import *
from .arithmetic import *
from .compositions import *
from .control import *
from .convolution import *
from .cumulative import *
from .custom import *
from .differences import *
from .einstein import *
from .elementary import *
from .factorizations import *
from .indexing import *
from .join import *
from .layout import *
from .linalg import *
from .order import *
from .patches import *
from .pooling import *
from .probabilities import *
from .products import *
from .protocol import *
from .random import *
from .reduce import *
from .rounding import *
from .scatter import *
from .shape import *
from .slices import *
from .special import *
from .statistics import *
from .updates import *
from .window import *

# A type checker can't read this list, and without one takes what the stars bring as public.
if not TYPE_CHECKING:
    __all__ = [
        *activations.__all__,
        *arithmetic.__all__,
        *compositions.__all__,
        *control.__all__,
        *convolution.__all__,
        *cumulative.__all__,
        *custom.__all__,
        *differences.__all__,
        *einstein.__all__,
        *elementary.__all__,
        *factorizations.__all__,
        *indexing.__all__,
        *join.__all__,
        *layout.__all__,
        *linalg.__all__,
        *order.__all__,
        *patches.__all__,
        *pooling.__all__,
        *probabilities.__all__,
        *products.__all__,
        *protocol.__all__,
        *random.__all__,
        *reduce.__all__,
        *rounding.__all__,
        *scatter.__all__,
        *shape.__all__,
        *slices.__all__,
        *special.__all__,
        *statistics.__all__,
        *updates.__all__,
        *window.__all__,
    ]
