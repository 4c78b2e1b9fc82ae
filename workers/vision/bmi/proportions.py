"""Body-mass index from the proportions of the face. It is hardly better than a constant, and its vital states that.

The index is the mean of seven ratios that Wen and Guo (2013, "A computational approach to body mass index prediction
from face images", Image and Vision Computing 31(5):392) found to correlate with the BMI, each as a standard score over
adults with the sign of that correlation. On 887 and 201 photos with stated height and weight the index correlates with
the BMI by 0.30 to 0.43. A trained model of the user's replaces it; the weights of none can be distributed here.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.schemas import Baseline, BodyMassIndex, Method, VitalStatus
from shared.version import VERSION
from shared.vitals import BMI, Reason
from workers.face.portraits import measure_frontality
from workers.face.skin_regions import OVAL

#: Mean BMI of the people on those photos, in kg/m2.
MEAN: Final = 26.5
#: BMI per standard deviation of the index, in kg/m2.
PER_SD: Final = 1.9
#: Offsets of the 90 % interval from the estimate, in kg/m2.
INTERVAL_90: Final = (-8.5, 10.5)
BASELINE: Final = Baseline(
    value=MEAN,
    mae=4.8,
    source="a constant, on photos with stated height and weight (4.8 to 6.5 on 1,088); the index: 0.2 to 0.5 less",
)
NOTE: Final = (
    "Proportions of the face predict the BMI hardly better than a constant does: read the interval, not the value. "
    "Bias by ethnicity is not known."
)

#: Smallest frontality of a frame. A head that is tilted up appears heavier.
FRONTAL: Final = 0.6
#: Smallest number of frontal frames, and about the largest number of frames that are used.
_MIN_FRAMES: Final = 3
_MAX_FRAMES: Final = 60

#: Signs of the ratios' correlations with the BMI; mean and standard deviation of each ratio over 59 frontal adults of
#: FairFace, and standard deviation of the signed mean score (`python -m lab.bench.vision ../shared/data/faces`).
SIGNS: Final = np.array([-1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0])
RATIO_MEAN: Final = np.array([1.247, 2.254, 3.926, 0.21, 0.405, 2.127, 0.114])
RATIO_SD: Final = np.array([0.03, 0.199, 0.037, 0.021, 0.029, 0.21, 0.019])
INDEX_SD: Final = 0.417

#: Mesh points: outer ends of the cheekbones and of the jaw, corners and lids of the eyes, middles of the brows.
_CHEEKBONES: Final = (234, 454)
_JAW: Final = (172, 397)
_EYES: Final = ((33, 133, 159, 145), (263, 362, 386, 374))
_BROWS: Final = (105, 334)
_TOP, _CHIN, _NASION, _LIP, _SUBNASAL = 10, 152, 168, 0, 2


def body_mass_index(landmarks: NDArray[np.float32]) -> BodyMassIndex:
    """Return the BMI by the `landmarks` (n, 478, 2) of n frames, NaN without a face. The vital is `experimental`."""
    known = landmarks[~np.isnan(landmarks[:, 0, 0])]
    sampled = known[:: max(1, len(known) // _MAX_FRAMES)]
    frontal = [mesh for mesh in sampled if measure_frontality(mesh) >= FRONTAL]
    if len(frontal) < _MIN_FRAMES:
        return BodyMassIndex.without_value(
            BMI.unit,
            VitalStatus.ABSTAINED,
            Reason.FACE_LOST,
            "The face was turned or tilted, which changes its proportions. Look straight into the camera.",
        )
    score = index(np.median([ratios(mesh) for mesh in frontal], axis=0))
    value = MEAN + PER_SD * score
    return BodyMassIndex(
        value=round(value, 1),
        unit=BMI.unit,
        status=VitalStatus.EXPERIMENTAL,
        detail=NOTE,
        interval=(round(value + INTERVAL_90[0], 1), round(value + INTERVAL_90[1], 1)),
        interval_level=0.9,
        baseline=BASELINE,
        diagnostics={"index_sd": round(score, 2), "frames_frontal": float(len(frontal))},
        method=Method(name="face ratios (Wen and Guo 2013)", version=VERSION, frames=len(frontal)),
    )


def index(measured: NDArray[np.float64]) -> float:
    """Return the standard score of the signed mean of the scores of seven ratios `measured` (7,), clipped to 3."""
    mean = float(np.mean(SIGNS * (measured - RATIO_MEAN) / RATIO_SD))
    return float(np.clip(mean / INDEX_SD, -3.0, 3.0))


def ratios(mesh: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the seven ratios (7,) of a `mesh` (478, 2) after it is made upright and frontal.

    Cheekbones over jaw; cheekbones over upper face; perimeter over the root of the area below the cheekbones; eye size
    and lower face over the face's height; cheekbones over lower face; brows over eyes, over the face's height.
    """
    face = _frontal(mesh.astype(np.float64))

    def across(pair: tuple[int, int]) -> float:
        return float(abs(face[pair[0], 0] - face[pair[1], 0]))

    height = float(face[_CHIN, 1] - face[_TOP, 1])
    width, jaw = across(_CHEEKBONES), across(_JAW)
    upper = float(face[_LIP, 1] - face[_NASION, 1])
    lower = float(face[_CHIN, 1] - face[_SUBNASAL, 1])
    outline = face[list(OVAL)]
    contour = outline[outline[:, 1] >= face[list(_CHEEKBONES), 1].mean()]
    contour = contour[np.argsort(np.arctan2(*(contour - contour.mean(axis=0)).T))]
    after = np.roll(contour, -1, axis=0)
    perimeter = float(np.hypot(*(after - contour).T).sum())
    area = abs(float((contour[:, 0] * after[:, 1] - after[:, 0] * contour[:, 1]).sum())) / 2
    eyes = [np.hypot(*(face[o] - face[i])) + np.hypot(*(face[u] - face[d])) for o, i, u, d in _EYES]
    lids = float(np.mean([face[eye[2], 1] for eye in _EYES]))
    brows = lids - float(np.mean([face[point, 1] for point in _BROWS]))
    return np.array(
        [
            width / max(jaw, 1e-6),
            width / max(upper, 1e-6),
            perimeter / max(area, 1e-6) ** 0.5,
            float(np.mean(eyes)) / height,
            lower / height,
            width / max(lower, 1e-6),
            brows / height,
        ]
    )


def _frontal(mesh: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate the mesh upright about its midline, and average the distances of both sides from it.

    When the head turns, one side becomes narrower by about as much as the other becomes wider.
    """
    down = mesh[_CHIN] - mesh[_TOP]
    down /= max(float(np.hypot(*down)), 1e-6)
    rotation = np.array([[down[1], -down[0]], [down[0], down[1]]])
    upright: NDArray[np.float64] = (mesh - mesh[_TOP]) @ rotation.T
    left, right = upright[_LEFT], upright[_RIGHT]
    height = (left[:, 1] + right[:, 1]) / 2
    half = np.abs(left[:, 0] - right[:, 0]) / 2
    evened = upright.copy()
    evened[_LEFT] = np.column_stack((-half, height))
    evened[_RIGHT] = np.column_stack((half, height))
    return evened


#: Mesh points of the left and the right side, in the same order.
_LEFT: Final = [*OVAL[1:18], *_EYES[0], _BROWS[0]]
_RIGHT: Final = [*OVAL[:18:-1], *_EYES[1], _BROWS[1]]
