"""Turn frames upright by the face, where the file does not store how the camera was held.

The decision is made once a clip, on its first frames with a face, and holds for the rest of it. It turns the face
upright, whatever the camera: a person who is on the side is turned as well. Tilts below about 60 degrees are kept.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.schemas import ClipFacts, RotationSource
from workers.face.detector import FaceBox
from workers.face.mesh import Finder
from workers.media.clip import TIME_SLACK_S, Frame

#: Number of looks that must agree.
_VOTES: Final = 3
#: Smallest number of looks that turn a clip, where frames are too large to wait for more.
_MIN_VOTES: Final = 2
#: Seconds between two looks while a face is detected, and while none is. A look takes 1.5 ms on an ordinary clip, where
#: the first view decides, and 6 ms with all four views.
_LOOK_S: Final = 0.1
_SEARCH_S: Final = 1 / 3
#: Longest time and largest size of the frames that wait for the decision: three of 3840x2160.
_MAX_HELD_S: Final = 1.0
_MAX_HELD_BYTES: Final = 80_000_000
#: Smallest evidence of a turned face, and by how much it must exceed the evidence of an upright one. Measured on three
#: real faces, a portrait and a simulated face in steps of 15 degrees: MediaPipe's detector gives upright faces scores
#: of 0.92 to 0.96. It detects faces at every roll, but upside-down ones as upright with scores of 0.53 to 0.70, so its
#: landmarks alone do not show the roll. Evidence of a face tilted by 45 degrees differs by 0.07 between two views.
_MIN_EVIDENCE: Final = 0.75
_MARGIN: Final = 0.15


class RollCorrector:
    """Turn the frames of one clip upright, frame by frame; frames wait until the roll of the face is decided.

    Frames without a face in any direction do not wait: where the first face appears later, those before it are passed
    unturned, and may have another shape.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._held: list[Frame] = []
        self._votes = [0, 0, 0, 0]
        self._quarters: int | None = None
        self._look_s = -math.inf

    @property
    def rotation(self) -> int:
        """Degrees clockwise by which frames are turned; 0 until the roll is decided."""
        return 90 * (self._quarters or 0)

    def add(self, frame: Frame) -> Iterator[Frame]:
        """Yield the frames that need not wait any longer, turned upright."""
        if self._quarters is not None:
            yield self._turned(frame)
            return
        self._held.append(frame)
        full = self._is_full(frame)
        if full or frame.time_s >= self._look_s - TIME_SLACK_S:
            found = self._look(frame)
            self._look_s = frame.time_s + (_LOOK_S if found else _SEARCH_S)
        if full or max(self._votes) >= _VOTES:
            yield from self._decide()
        elif not any(self._votes):
            yield from self._release()

    def finish(self) -> Iterator[Frame]:
        """Yield the frames that still wait at the end of the clip."""
        if self._quarters is None:
            yield from self._decide()

    def _is_full(self, frame: Frame) -> bool:
        """Whether the waiting frames leave no space or time for another one."""
        too_large = (len(self._held) + 1) * frame.rgb.nbytes > _MAX_HELD_BYTES
        return any(self._votes) and (too_large or frame.time_s - self._held[0].time_s >= _MAX_HELD_S - TIME_SLACK_S)

    def _look(self, frame: Frame) -> bool:
        """Vote for the direction of the face in `frame`; return whether there is a face."""
        evidence = [self._evidence(frame.rgb, 0), 0.0, 0.0, 0.0]
        if evidence[0] <= 1 - _MARGIN:  # else no other view can exceed it by the margin
            evidence[1:] = (self._evidence(frame.rgb, quarters) for quarters in (1, 2, 3))
        best = int(np.argmax(evidence))
        if best and evidence[best] >= max(_MIN_EVIDENCE, evidence[0] + _MARGIN):
            self._votes[best] += 1
        elif evidence[0]:
            self._votes[0] += 1
        else:
            return any(self._votes)
        return True

    def _evidence(self, rgb: NDArray[np.uint8], quarters: int) -> float:
        """Return the evidence in [0, 1] of an upright face in `rgb`, turned by `quarters`; 0 without a face."""
        faces = self._finder.faces(_turn(rgb, quarters))
        return max((_uprightness(face) for face in faces), default=0.0)

    def _decide(self) -> Iterator[Frame]:
        best = int(np.argmax(self._votes))
        self._quarters = best if self._votes[best] >= _MIN_VOTES else 0
        return self._release()

    def _release(self) -> Iterator[Frame]:
        held, self._held = self._held[::-1], []
        while held:
            yield self._turned(held.pop())

    def _turned(self, frame: Frame) -> Frame:
        return replace(frame, rgb=_turn(frame.rgb, self._quarters)) if self._quarters else frame


def upright_facts(facts: ClipFacts, size: tuple[int, int], rotation: int) -> ClipFacts:
    """Return the facts of a clip whose frames were turned by `rotation` degrees clockwise to `size` (w, h)."""
    if not rotation:
        return facts
    # Facts describe a rotation that is followed by the mirror; here the mirrored frames were turned.
    added = -rotation if facts.mirrored else rotation
    return facts.model_copy(
        update={
            "rotation": (facts.rotation + added) % 360,
            "rotation_source": RotationSource.FACE,
            "width": size[0],
            "height": size[1],
        }
    )


def _uprightness(face: FaceBox) -> float:
    return face.score * max(math.cos(math.radians(face.roll)), 0.01)


def _turn(rgb: NDArray[np.uint8], quarters: int) -> NDArray[np.uint8]:
    """Return `rgb` (h, w, 3) turned clockwise by `quarters` of a full turn."""
    return np.ascontiguousarray(np.rot90(rgb, -quarters)) if quarters else rgb
