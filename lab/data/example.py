"""`Example`: one training example of any source: crops as the workers make them, and the blood volume."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Example:
    """One clip on the grid of `workers.rppg.signals.traces.GRID_HZ`.

    crops  (n, 72, 72, 3) uint8 RGB, as `workers.face.crops` makes them
    bvp    (n,) float32, blood volume, up is more; all 0 where there is no pulse
    """

    crops: NDArray[np.uint8]
    bvp: NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write the example to `path` (.npz), atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        making = path.with_name(f"{path.stem}.{os.getpid()}.npz")
        np.savez(making, crops=self.crops, bvp=self.bvp)
        making.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Example":
        """Read an example that `save` wrote."""
        with np.load(path) as held:
            return cls(held["crops"], held["bvp"])
