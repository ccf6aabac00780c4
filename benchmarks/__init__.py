"""Speed comparisons with what else one would use: ``python -m pytest benchmarks``."""

import os

# OPENBLAS_CORETYPE and the like slow NumPy's products; they are read when NumPy is first imported.
for _name in [name for name in os.environ if name.startswith("OPENBLAS_")]:
    if _name != "OPENBLAS_NUM_THREADS":
        del os.environ[_name]
