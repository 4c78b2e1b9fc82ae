"""A tracked face becomes colour traces on an even grid of times."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.face import FaceTrack

GRID_HZ = 30.0


@dataclass(frozen=True)
class Traces:
    """What estimators see.

    fs          sampling rate in Hz (`GRID_HZ`)
    times_s     (n,)            even grid, starts at 0
    regions     (4, 3, n)       linear-light RGB of `workers.face.REGIONS`
    background  (3, n)          linear-light RGB of the background
    motion      (n,)            speed of the landmarks, face widths per second
    crops       (n, 72, 72, 3)  uint8 face crops, nearest in time
    """

    fs: float
    times_s: NDArray[np.float64]
    regions: NDArray[np.float64]
    background: NDArray[np.float64]
    motion: NDArray[np.float64]
    crops: NDArray[np.uint8]

    @property
    def face(self) -> NDArray[np.float64]:
        """(3, n) linear-light RGB of the whole face's skin."""
        return self.regions[0]


def traces_of(track: FaceTrack) -> Traces: ...
