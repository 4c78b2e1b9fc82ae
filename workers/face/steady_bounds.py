"""Bounds of a face that stay while it moves little: for areas of the frame beside it whose mean colour is measured."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.face.skin_regions import OVAL

#: Movement from which on the bounds are renewed, in face widths. An area that followed every small movement would make
#: its mean vary by its texture, by more than a pulse does.
MAX_SHIFT: Final = 0.3


class SteadyBounds:
    """The bounds of a face, renewed only when it has moved."""

    def __init__(self) -> None:
        self._bounds: NDArray[np.float32] | None = None

    def renewed(self, mesh: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Return the upper left and lower right corner (2,) of the face `mesh` (478, 2), or None while they stay."""
        outline = mesh[list(OVAL)]
        low, high = outline.min(axis=0), outline.max(axis=0)
        bounds = np.concatenate((low, high))
        if self._bounds is not None:
            shift = float(np.max(np.abs(bounds - self._bounds)))
            if shift < MAX_SHIFT * float(high[0] - low[0]):
                return None
        self._bounds = bounds
        return low, high
