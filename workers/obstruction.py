"""Does something of another colour than skin cover the lower face?

The mesh is drawn over masks and scarves as if they were a face, so what it covers is compared with itself: mouth, chin
and nose or cheeks of quite another hue than the rest of the skin are not bare. Brightness says nothing (beards,
shadows), and what has the colour of skin, a hand above all, is not noticed.
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.schemas import Check, CheckStatus
from shared.vitals import Reason
from workers.halving import halved, halvings
from workers.portraits import Portrait
from workers.regions import linear

# Hulls of mesh points.
_PARTS: Final = {
    "forehead": [293, 334, 296, 336, 9, 107, 66, 105, 63, 151, 337, 299, 333, 298, 68, 104, 69, 108],
    "left_cheek": [345, 346, 347, 348, 329, 371, 423, 426, 436, 432, 434, 416, 367, 435, 401, 366, 447],
    "right_cheek": [116, 117, 118, 119, 100, 142, 203, 206, 216, 212, 214, 192, 138, 215, 177, 137, 227],
    "nose": [168, 6, 197, 195, 5, 4, 45, 220, 115, 48, 131, 134, 51, 275, 440, 344, 278, 360, 363, 281],
    "mouth": [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185],
    "chin": [18, 200, 199, 175, 152, 148, 176, 149, 377, 400, 378, 83, 313, 182, 406],
}
_UPPER: Final = ("forehead", "nose", "left_cheek", "right_cheek")

# Distance of hues (natural logarithms of R/G and B/G in linear light) of the lower face from the reddest part. On 262
# bare faces (FairFace, all kinds of light) 1.9 % lie above the first and 5 % above the second; with masks painted on
# half of them 73 % (white, grey), 79 % (black), 100 % (blue, green) and 39 % (pink) lie above the first.
HUE_FAIL: Final = 0.6
HUE_WARN: Final = 0.43
# Skin has ln(R/G) of 0.37 and more on 95 % of these faces; below this the picture shows no colour to judge by.
_COLOURLESS: Final = 0.05

_SIDE: Final = 96
_FAINT: Final = 0.002


def check_obstruction(portraits: Sequence[Portrait]) -> Check:
    """Whether the lower face is bare, by the middle one of the portraits; `unknown` without any, or without colour."""
    differences = [difference for portrait in portraits if (difference := lower_face_difference(portrait)) is not None]
    if not differences:
        why = "without colour" if portraits else "without a face"
        return Check(status=CheckStatus.UNKNOWN, detail=f"Whether something covers the face can't be judged {why}.")
    difference = float(np.median(differences))
    score = round(float(np.clip(1.0 - difference / (2 * HUE_FAIL), 0.0, 1.0)), 3)
    if difference <= HUE_WARN:
        detail = "Nothing of another colour than skin covers mouth and chin. A hand would not be noticed."
        return Check(status=CheckStatus.PASS, score=score, detail=detail)
    detail = (
        "Mouth and chin have another colour than the rest of the face. Take off a mask or scarf, in even white light."
    )
    status = CheckStatus.FAIL if difference > HUE_FAIL else CheckStatus.WARN
    return Check(status=status, score=score, reason=Reason.FACE_OBSTRUCTED, detail=detail)


def lower_face_difference(portrait: Portrait) -> float | None:
    """How far mouth, chin, and nose or cheeks all are from the reddest part of the face in hue; None without colour."""
    hues = _hues(portrait)
    if hues is None:
        return None
    skin = max((hues[name] for name in _UPPER), key=lambda hue: float(hue[0]))
    if skin[0] < _COLOURLESS:
        return None
    away = {name: float(np.hypot(*(hue - skin))) for name, hue in hues.items()}
    middle = max(away["nose"], min(away["left_cheek"], away["right_cheek"]))
    return min(away["mouth"], away["chin"], middle)


def _hues(portrait: Portrait) -> dict[str, NDArray[np.float32]] | None:
    """Median (ln R/G, ln B/G) of each part, or None where the face is too small to have parts."""
    height, width = portrait.rgb.shape[:2]
    low = np.clip(portrait.landmarks.min(axis=0).astype(int) - 4, 0, (width, height))
    high = np.clip(portrait.landmarks.max(axis=0).astype(int) + 5, 0, (width, height))
    face = portrait.rgb[low[1] : high[1], low[0] : high[0]]
    if min(face.shape[:2]) < _SIDE // 4:
        return None
    times = halvings(min(face.shape[:2]), _SIDE)
    face = halved(face, times)
    points = (portrait.landmarks - low + 0.5) / (1 << times) - 0.5
    light = np.asarray(cv2.blur(linear(np.ascontiguousarray(face)), (3, 3))) + _FAINT
    hue = np.log(light[..., [0, 2]] / light[..., [1]])
    hues: dict[str, NDArray[np.float32]] = {}
    for name, outline in _PARTS.items():
        part = np.zeros(face.shape[:2], np.uint8)
        hull = cv2.convexHull(points[outline].astype(np.float32))
        cv2.fillConvexPoly(part, np.rint(hull).astype(np.int32), (1,))
        if not part.any():
            return None
        hues[name] = np.median(hue[part > 0], axis=0)
    return hues
