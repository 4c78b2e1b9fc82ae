"""Types of arrays; docstrings state the shapes."""

import numpy as np
from numpy.typing import NDArray

#: Array of float64.
Floats = NDArray[np.float64]
#: Array of float32.
Floats32 = NDArray[np.float32]
