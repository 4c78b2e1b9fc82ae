"""Checks on the quality of a tracked clip, each with advice for the user where it does not pass."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.schemas import Check, CheckStatus
from shared.vitals import Reason
from workers.face.skin_regions import linear
from workers.media.colour import is_grey


@dataclass(frozen=True)
class CheckedTrack:
    """Input of the checks. The arrays are those of `workers.face.tracker.FaceTrack`.

    `distant` is whether faces too small for a mesh were detected, `grey` whether the face has no colour.
    """

    times_s: NDArray[np.float64]
    landmarks: NDArray[np.float32]
    regions: NDArray[np.float32]
    background: NDArray[np.float32]
    crops: NDArray[np.uint8]
    faces: NDArray[np.int8]
    size: tuple[int, int]
    distant: bool = False
    grey: bool = False


#: Part of the clip with a detected face. Half of 15 s is enough for a heart rate.
SEEN_FAIL: Final = 0.5
SEEN_WARN: Final = 0.9
#: Part of the clip with a second face. A person who walks past stays below it.
SECOND_FAIL: Final = 0.2

#: Height of the face, in pixels and over the frame's. Measured on three real clips, shrunk by steps: POS keeps its
#: signal-to-noise ratio down to faces of 63 to 113 pixels, and has lost 2 dB at 42 to 84. Below an eighth of the frame
#: there is no mesh.
SMALL_FAIL_PX: Final = 60.0
SMALL_GOOD_PX: Final = 110.0
SMALL_WARN: Final = 0.2

#: Brightest channel of the face in linear light (0.03 is 48 of 255 in sRGB). Measured on two real clips and a simulated
#: one, darkened, with the shot noise of the lower light: POS loses at most 2 dB at 0.04 and 0 to 4 dB at 0.015; at
#: 0.007 no usable skin is left.
DARK_FAIL: Final = 0.01
DARK_WARN: Final = 0.03
#: Difference between the brightest and the darkest second, over the median. Real clips have at most 0.08, simulated
#: ones with the most head motion 0.10.
FLICKER_FAIL: Final = 0.5
FLICKER_WARN: Final = 0.15
#: Largest score of a grey picture: the pulse can be measured, the oxygen saturation can't.
GREY_SCORE: Final = 0.5

#: 95th percentile of the landmarks' speed in face widths per second. Measured on a real and a simulated clip with added
#: motion: POS loses 3 to 4.5 dB at 0.25, and 3 to 9 dB at 1, where the first wrong rates occur. At 2 the face is lost
#: at times.
SPEED_WARN: Final = 0.25
SPEED_FAIL: Final = 1.5

#: Frames per second. Below 9 the shape of a fast heart's beat is lost: 180 /min and its double need 12. A camera of ten
#: that drops some keeps above it. Of 31 living rendered clips that 15 refused 11 have a rate at 9, none wrong;
#: of 20 without a pulse none has.
RATE_FAIL: Final = 9.0
RATE_WARN: Final = 20.0
#: Longest time without a new frame in seconds. A gap of 0.5 s hides a whole beat at 120 /min.
GAP_FAIL_S: Final = 0.5
GAP_WARN_S: Final = 0.25
#: Mean difference of two face crops, of 255, up to which they count as equal. Frozen frames that were encoded again
#: have 0.003; living faces in well encoded clips have at least 0.2 within any half second.
SAME: Final = 0.02

#: Frame rate from which on it does not lower the score.
_BEST_RATE: Final = 30.0
#: Number of frames on which the light level is measured.
_LEVEL_FRAMES: Final = 30


def check_track(track: CheckedTrack) -> dict[str, Check]:
    """Return the checks `face`, `lighting`, `motion` and `timing`."""
    return {
        "face": check_face(track),
        "lighting": check_lighting(track),
        "motion": check_motion(track),
        "timing": check_timing(track.times_s, track.crops),
    }


def check_face(track: CheckedTrack) -> Check:
    """Check for one face, detected throughout the clip and large enough."""
    has_face = track.faces > 0
    part = float(np.mean(has_face)) if has_face.size else 0.0
    if part == 0.0 and track.distant:
        return _fail(
            0.0, Reason.FACE_TOO_SMALL, "The face is too far away. Move closer: it should fill a third of the height."
        )
    if part == 0.0:
        return _fail(
            0.0, Reason.NO_FACE, "No face was seen. Sit facing the camera, with the whole face in the picture."
        )
    second = float(np.mean(track.faces[has_face] > 1))
    height_px = float(np.median(np.ptp(track.landmarks[has_face][:, :, 1], axis=1)))
    height = height_px / track.size[1]
    crowd = "More than one face was seen. Only one person may be in the picture."
    lost = f"The face was seen in {part:.0%} of the clip. Stay in the picture, facing the camera."
    small = f"The face fills {height:.0%} of the picture's height. Move closer: 20 % is the least."
    score = float(np.clip(min(part, 1.0 - second, height / SMALL_WARN, height_px / SMALL_GOOD_PX), 0.0, 1.0))
    return _graded(
        score,
        fail=(
            (Reason.MULTIPLE_FACES, second > SECOND_FAIL, crowd),
            (Reason.FACE_LOST, part < SEEN_FAIL, lost),
            (Reason.FACE_TOO_SMALL, height_px < SMALL_FAIL_PX, small),
        ),
        warn=(
            (Reason.MULTIPLE_FACES, second > 0, crowd),
            (Reason.FACE_LOST, part < SEEN_WARN, lost),
            (Reason.FACE_TOO_SMALL, height < SMALL_WARN, small),
        ),
    )


def is_grey_face(crops: NDArray[np.uint8], faces: NDArray[np.int8]) -> bool:
    """Return whether the face `crops` (n, 72, 72, 3) have no colour, by a few that contain a face."""
    with_face = crops[faces > 0]
    return is_grey(with_face[:: max(1, len(with_face) // _LEVEL_FRAMES)])


def check_lighting(track: CheckedTrack) -> Check:
    """Check for enough light on the face, constant light, and colours."""
    has_face = track.faces > 0
    if not has_face.any():
        return Check(status=CheckStatus.UNKNOWN, detail="The light on the face can't be judged without a face.")
    level = _level(track.crops[has_face])
    change = max(_change(track.times_s, track.regions[:, 0, 1]), _change(track.times_s, track.background[:, 1]))
    dark = "The face is too dark. Turn on a light in front of you, or turn towards a window."
    unsteady = f"The light changes by {change:.0%} during the clip. Avoid screens, clouds and automatic exposure."
    grey = "The picture has no colour. Record with a colour camera, in visible light."
    score = float(np.clip(min(level / DARK_WARN, 1.0 - change / FLICKER_FAIL), 0.0, GREY_SCORE if track.grey else 1.0))
    return _graded(
        score,
        fail=((Reason.LOW_LIGHT, level < DARK_FAIL, dark), (Reason.LIGHTING_UNSTABLE, change > FLICKER_FAIL, unsteady)),
        warn=(
            (Reason.LOW_LIGHT, level < DARK_WARN, dark),
            (Reason.LIGHTING_UNSTABLE, change > FLICKER_WARN, unsteady),
            (Reason.NO_COLOUR, track.grey, grey),
        ),
    )


def check_motion(track: CheckedTrack) -> Check:
    """Check that the head keeps still."""
    speed = landmark_speed(track.times_s, track.landmarks)
    known = speed[~np.isnan(speed)]
    if known.size < 2:
        return Check(status=CheckStatus.UNKNOWN, detail="Motion can't be judged without a face.")
    fast = float(np.percentile(known, 95))
    detail = f"The head moves at up to {fast:.1f} face widths a second. Keep still, and don't speak."
    return _graded(
        float(np.clip(1.0 - fast / SPEED_FAIL, 0.0, 1.0)),
        fail=((Reason.MOTION, fast > SPEED_FAIL, detail),),
        warn=((Reason.MOTION, fast > SPEED_WARN, detail),),
    )


def check_timing(times_s: NDArray[np.float64], crops: NDArray[np.uint8]) -> Check:
    """Check the frame rate, the gaps and frozen frames, by `times_s` (n,) and the face `crops` (n, 72, 72, 3)."""
    if times_s.size < 2:
        return Check(status=CheckStatus.UNKNOWN, detail="One frame has no timing.")
    rate = float((times_s.size - 1) / (times_s[-1] - times_s[0]))
    gap_s = float(np.diff(times_s).max())
    frozen_s = _longest_standstill(times_s, crops)
    slow = (
        f"The clip has {rate:.1f} frames a second; {RATE_FAIL:.0f} are needed, 30 are best. More light helps a camera."
    )
    gappy = f"For {gap_s:.2f} s no frame was recorded. Close other programs while recording."
    frozen = f"For {frozen_s:.2f} s the picture stood still. Record a live camera, and close other programs."
    worst_s = max(gap_s, frozen_s)
    score = float(np.clip(min(rate / _BEST_RATE, 1.0 - (worst_s - 1 / RATE_FAIL) / GAP_FAIL_S), 0.0, 1.0))
    return _graded(
        score,
        fail=(
            (Reason.FRAME_RATE_LOW, rate < RATE_FAIL, slow),
            (Reason.TIMING_GAPS, gap_s > GAP_FAIL_S, gappy),
            (Reason.TIMING_GAPS, frozen_s > GAP_FAIL_S, frozen),
        ),
        warn=(
            (Reason.TIMING_GAPS, gap_s > GAP_WARN_S, gappy),
            (Reason.TIMING_GAPS, frozen_s > GAP_WARN_S, frozen),
            (Reason.FRAME_RATE_LOW, rate < RATE_WARN, slow),
        ),
    )


def landmark_speed(times_s: NDArray[np.float64], landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the speed (n,) of `landmarks` (n, 478, 2) in face widths per second; NaN without a face."""
    speed = np.full(times_s.size, np.nan)
    if times_s.size < 2:
        return speed
    width = np.hypot(*(landmarks[:, 454] - landmarks[:, 234]).T)
    moved = np.hypot(*np.moveaxis(np.diff(landmarks, axis=0), 2, 0)).mean(axis=1)
    speed[1:] = moved / np.diff(times_s) / np.maximum(width[1:], 1.0)
    speed[0] = speed[1]
    return speed


def _level(crops: NDArray[np.uint8]) -> float:
    """Return the brightest channel of the middle of the face in linear light, the median over a few frames."""
    few = crops[:: max(1, len(crops) // _LEVEL_FRAMES)]
    low, high = crops.shape[1] // 4, crops.shape[1] * 3 // 4
    middle = np.ascontiguousarray(few[:, low:high, low:high].reshape(-1, high - low, 3))
    return float(np.median(linear(middle), axis=(0, 1)).max())


def _change(times_s: NDArray[np.float64], light: NDArray[np.float32]) -> float:
    """Return the largest difference between one-second means of `light` (n,) over their median; 0 without values."""
    seconds = np.floor(times_s).astype(int)
    known = ~np.isnan(light)
    means = [float(light[(seconds == second) & known].mean()) for second in np.unique(seconds[known])]
    return (max(means) - min(means)) / max(float(np.median(means)), 1e-4) if means else 0.0


def _longest_standstill(times_s: NDArray[np.float64], crops: NDArray[np.uint8]) -> float:
    """Return the longest time in seconds in which no face crop differs from the one before."""
    if not crops.any():
        return 0.0
    longest_s, changed_s = 0.0, float(times_s[0])
    for index in range(1, len(crops)):
        if cv2.norm(crops[index], crops[index - 1], cv2.NORM_L1) > SAME * crops[0].size:
            changed_s = float(times_s[index])
        longest_s = max(longest_s, float(times_s[index]) - changed_s)
    return longest_s


def _fail(score: float, reason: Reason, detail: str) -> Check:
    return Check(status=CheckStatus.FAIL, score=round(score, 3), reason=reason, detail=detail)


_Finding = tuple[Reason, bool, str]


def _graded(score: float, fail: tuple[_Finding, ...], warn: tuple[_Finding, ...]) -> Check:
    """Return the check for the first finding that applies; `pass` without one."""
    for status, findings in ((CheckStatus.FAIL, fail), (CheckStatus.WARN, warn)):
        for reason, applies, detail in findings:
            if applies:
                return Check(status=status, score=round(score, 3), reason=reason, detail=detail)
    return Check(status=CheckStatus.PASS, score=round(score, 3))
