"""The check `obstruction`: whether a hand, a mask, a phone, a scarf or hair covers the face.

MediaPipe draws its mesh over all of them as if they were a face. So a network of this project takes the flattened
face (`workers.face.occlusion_input`) and outputs the probability of an occlusion for each cell of a grid. The covered
part of a region is the mean over its cells. Faces with glasses, beards and dark skin are among its uncovered training
examples.
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.schemas import Check, CheckStatus
from shared.vitals import Reason
from workers.face.occlusion_input import GRID, SIDE, WEIGHTS, flatten, network_input
from workers.face.portraits import Portrait
from workers.models.session import Network, open_network

#: Outlines of the regions in pixels of the flattened face, the mean of 262 meshes. Left and right are the subject's.
REGIONS: Final[dict[str, list[tuple[float, float]]]] = {
    "forehead": [
        (47.3, 12.4), (45.9, 14.8), (31.5, 15.1), (16.9, 14.6), (15.4, 12.2), (18.3, 10.3), (22.4, 9.5), (40.5,
        9.6), (44.5, 10.4)
    ],
    "left_cheek": [
        (51.3, 27.5), (50.6, 36.8), (49.6, 41.1), (47.7, 45.2), (42.6, 44.0), (39.1, 35.5), (38.2, 31.1), (38.5,
        28.7), (41.0, 27.6), (46.5, 27.1)
    ],
    "right_cheek": [
        (11.4, 27.3), (16.2, 26.9), (21.8, 27.5), (24.5, 28.6), (24.8, 31.1), (23.9, 35.4), (20.4, 43.9), (15.2,
        45.1), (13.2, 41.0), (12.1, 36.6)
    ],
    "nose": [
        (37.1, 34.1), (26.0, 34.1), (31.5, 20.5)
    ],
    "mouth": [
        (24.0, 43.8), (25.7, 42.4), (29.3, 41.1), (33.8, 41.1), (37.4, 42.5), (39.0, 43.9), (35.9, 47.4), (31.6,
        48.5), (27.3, 47.4)
    ],
    "chin": [
        (40.4, 55.3), (35.2, 58.3), (31.5, 58.7), (27.9, 58.3), (22.6, 55.3), (26.8, 48.9), (36.3, 49.0)
    ],
}  # fmt: skip

#: Covered part of a region from which on the check fails: the highest at which nine in ten covered faces failed, of 57
#: people outside the training data. `python -m lab.bench.obstruction_report FACES` chooses it, and measures it on 61
#: others.
COVERED_FAIL: Final = 0.45
#: Covered part of a region from which on the check warns.
COVERED_WARN: Final = 0.3
#: Number of portraits that are judged, best quality first. Their median decides.
_PORTRAITS: Final = 3
#: Smallest height of a face that can be judged, in pixels.
_MIN_HEIGHT: Final = 24.0


class ObstructionDetector:
    """Estimate how much of each region of a face is covered. The network is loaded once."""

    def __init__(self, network: Network | None = None) -> None:
        self.network = network or open_network(WEIGHTS, 1)
        self._weights = region_weights()

    def covered_parts(self, faces: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return the covered part (n, 6) of each of `REGIONS`, in [0, 1], for n flattened faces (64, 64, 3)."""
        log_odds = self.network(network_input(faces)).reshape(len(faces), -1)
        covered = 1 / (1 + np.exp(-log_odds))
        return np.asarray(covered @ self._weights.T, np.float32)

    def check(self, portraits: Sequence[Portrait]) -> Check:
        """Return the check, by the median of the best portraits; `unknown` without portraits."""
        best = sorted(portraits, key=lambda portrait: -portrait.quality)[:_PORTRAITS]
        best = [portrait for portrait in best if float(np.ptp(portrait.landmarks[:, 1])) >= _MIN_HEIGHT]
        if not best:
            return Check(
                status=CheckStatus.UNKNOWN, detail="Whether something covers the face can't be judged without one."
            )
        parts = np.median(self.covered_parts([flatten(portrait.rgb, portrait.landmarks) for portrait in best]), axis=0)
        largest = float(parts.max())
        score = round(1.0 - largest, 3)
        if largest < COVERED_WARN:
            return Check(status=CheckStatus.PASS, score=score, detail="Nothing seems to cover the face.")
        names = [name.replace("_", " ") for name, part in zip(REGIONS, parts, strict=True) if part >= COVERED_WARN]
        detail = f"Something seems to cover the face ({', '.join(names)}). Take away hand, mask, scarf, hair or phone."
        status = CheckStatus.FAIL if largest >= COVERED_FAIL else CheckStatus.WARN
        return Check(status=status, score=score, reason=Reason.FACE_OBSTRUCTED, detail=detail)


def region_weights() -> NDArray[np.float32]:
    """Return the weights (6, 256) of the grid's cells for each region. They sum to 1 for each region."""
    weights = []
    for outline in REGIONS.values():
        drawn = np.zeros((SIDE, SIDE), np.float32)
        cv2.fillConvexPoly(drawn, np.rint(np.array(outline)).astype(np.int32), (1.0,))
        cells = np.asarray(cv2.resize(drawn, (GRID, GRID), interpolation=cv2.INTER_AREA)).ravel()
        weights.append(cells / cells.sum())
    return np.asarray(weights, np.float32)
