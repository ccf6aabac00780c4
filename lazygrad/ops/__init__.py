"""The operations, one declaration each, in families. Importing a family fills the table."""

from . import (
    activations,
    arithmetic,
    control,
    cumulative,
    einstein,
    elementary,
    factorizations,
    linalg,
    order,
    probabilities,
    products,
    protocol,
    reduce,
    rounding,
    shape,
    statistics,
)
from .activations import *  # noqa: F403
from .arithmetic import *  # noqa: F403
from .control import *  # noqa: F403
from .cumulative import *  # noqa: F403
from .einstein import *  # noqa: F403
from .elementary import *  # noqa: F403
from .factorizations import *  # noqa: F403
from .linalg import *  # noqa: F403
from .order import *  # noqa: F403
from .probabilities import *  # noqa: F403
from .products import *  # noqa: F403
from .protocol import *  # noqa: F403
from .reduce import *  # noqa: F403
from .rounding import *  # noqa: F403
from .shape import *  # noqa: F403
from .statistics import *  # noqa: F403

__all__ = [  # noqa: PLE0604
    *activations.__all__,
    *arithmetic.__all__,
    *control.__all__,
    *cumulative.__all__,
    *einstein.__all__,
    *elementary.__all__,
    *factorizations.__all__,
    *linalg.__all__,
    *order.__all__,
    *probabilities.__all__,
    *products.__all__,
    *protocol.__all__,
    *reduce.__all__,
    *rounding.__all__,
    *shape.__all__,
    *statistics.__all__,
]
