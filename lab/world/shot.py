"""What a renderer of the world is given, and what it gives."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats
from lab.world.conditions import Conditions
from lab.world.pulse import Pulse


@dataclass(frozen=True)
class Shot:
    """What a renderer is given: the conditions, the frames' times, the portrait, and the pulse of a living person.

    times_s  (n,) seconds, the first 0
    picture  (h, w, 3) uint8 RGB
    pulse    of the person; without one no skin pulsates
    breath   moves the chest; flat where no person breathes
    """

    conditions: Conditions
    times_s: Floats
    picture: NDArray[np.uint8]
    pulse: Pulse | None
    breath: Pulse


class Renderer(Protocol):
    """A renderer: frames (h, w, 3) uint8 RGB of a shot, in order, of the size `conditions.size`."""

    def __call__(self, shot: Shot, /) -> Iterator[NDArray[np.uint8]]:
        """Render the frames.

        Raises:
            ValueError: the portrait can't be used.
        """
