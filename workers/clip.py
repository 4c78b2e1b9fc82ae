"""An upload becomes frames with true times, within budgets."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.schemas import ClipFacts, ErrorCode


class ClipRejected(Exception):  # noqa: N818  (named for what happened)
    """The clip can't be analysed, and another try would end the same way."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class Frame:
    """One decoded picture. `time_s` counts from the first frame; `rgb` is (height, width, 3) uint8, upright."""

    index: int
    time_s: float
    rgb: NDArray[np.uint8]


@dataclass(frozen=True)
class ClipBudget:
    """What decoding may cost; a clip that wants more is rejected."""

    pixels: int = 3840 * 2160
    frames: int = 120 * 60 + 60
    duration_s: float = 120.0
    bytes: int = 200_000_000
    wall_s: float = 30.0


class Clip:
    """An open clip: `frames()` once, in order; then `facts`."""

    def frames(self) -> Iterator[Frame]: ...

    @property
    def facts(self) -> ClipFacts: ...


def open_clip(path: Path, budget: ClipBudget | None = None) -> AbstractContextManager[Clip]: ...
