"""What every source of training data comes down to: the workers' own crops, and the blood volume beside them."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Example:
    """One clip on the grid of `workers.rppg.signals.traces.GRID_HZ`.

    crops  (n, 72, 72, 3) uint8, as `workers.face.crops` cuts them
    bvp    (n,) float32, blood volume, up is more; 0 throughout where there is no pulse
    """

    crops: NDArray[np.uint8]
    bvp: NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write the file whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        making = path.with_name(f"{path.stem}.{os.getpid()}.npz")
        np.savez(making, crops=self.crops, bvp=self.bvp)
        making.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Example":
        """The example of a file that `save` wrote."""
        with np.load(path) as held:
            return cls(held["crops"], held["bvp"])
