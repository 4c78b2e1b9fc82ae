"""Does something cover the face: a hand, a mask, a phone, a scarf, hair?

The mesh is drawn over all of them as if they were a face, so a network of our own looks at the flat face
(`workers.face.occlusion_input`), and each region of it is as covered as the network says on the mean of its places.
Glasses, beards and dark skin were among what it learned to leave alone.
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.schemas import Check, CheckStatus
from shared.vitals import Reason
from workers.face.occlusion_input import PLACES, SIDE, WEIGHTS, flatten, network_input
from workers.face.portraits import Portrait
from workers.models.session import Network, open_network

#: Outlines of regions on the flat face: the mean of 262 faces' meshes. Left and right are the subject's.
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

#: Covered part of the region that is covered most, from which on a face counts as obstructed: the highest at which nine
#: in ten covered faces were refused of 57 people that the network was not trained on; `python -m lab.bench.obstruction
#: FACES` chooses it, and tells of 61 others what it refuses. From the second on the cover is doubtful.
COVERED_FAIL: Final = 0.45
COVERED_WARN: Final = 0.3
# The best portraits are looked at; the middle one of them decides.
_PORTRAITS: Final = 3
# Below this size in pixels a face shows too little to judge.
_SMALLEST: Final = 24.0


class CoverMeter:
    """The network, loaded once."""

    def __init__(self, network: Network | None = None) -> None:
        self.network = network or open_network(WEIGHTS, 1)
        self._weights = region_weights()

    def covered(self, faces: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """How much (n, 6) of each of `REGIONS` is covered on flat faces (64, 64, 3), from 0 to 1."""
        log_odds = self.network(network_input(faces)).reshape(len(faces), -1)
        hidden = 1 / (1 + np.exp(-log_odds))
        return np.asarray(hidden @ self._weights.T, np.float32)

    def check(self, portraits: Sequence[Portrait]) -> Check:
        """Whether the face is free, by the middle one of the best portraits; `unknown` without any."""
        best = sorted(portraits, key=lambda portrait: -portrait.quality)[:_PORTRAITS]
        best = [portrait for portrait in best if float(np.ptp(portrait.landmarks[:, 1])) >= _SMALLEST]
        if not best:
            return Check(
                status=CheckStatus.UNKNOWN, detail="Whether something covers the face can't be judged without one."
            )
        parts = np.median(self.covered([flatten(portrait.rgb, portrait.landmarks) for portrait in best]), axis=0)
        most = float(parts.max())
        score = round(1.0 - most, 3)
        if most < COVERED_WARN:
            return Check(status=CheckStatus.PASS, score=score, detail="Nothing seems to cover the face.")
        names = [name.replace("_", " ") for name, part in zip(REGIONS, parts, strict=True) if part >= COVERED_WARN]
        detail = f"Something seems to cover the face ({', '.join(names)}). Take away hand, mask, scarf, hair or phone."
        status = CheckStatus.FAIL if most >= COVERED_FAIL else CheckStatus.WARN
        return Check(status=status, score=score, reason=Reason.FACE_OBSTRUCTED, detail=detail)


def region_weights() -> NDArray[np.float32]:
    """(6, 256) share of each place in each region; every region's sum to 1."""
    weights = []
    for outline in REGIONS.values():
        drawn = np.zeros((SIDE, SIDE), np.float32)
        cv2.fillConvexPoly(drawn, np.rint(np.array(outline)).astype(np.int32), (1.0,))
        places = np.asarray(cv2.resize(drawn, (PLACES, PLACES), interpolation=cv2.INTER_AREA)).ravel()
        weights.append(places / places.sum())
    return np.asarray(weights, np.float32)
