"""Checks on a tracked clip: can what is seen carry a vital, and if not, what should be done about it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.schemas import Check, CheckStatus
from shared.vitals import Reason


@dataclass(frozen=True)
class CheckedTrack:
    """What the checks look at; the arrays are those of `workers.face.FaceTrack`."""

    times_s: NDArray[np.float64]
    landmarks: NDArray[np.float32]
    regions: NDArray[np.float32]
    background: NDArray[np.float32]
    faces: NDArray[np.int8]
    size: tuple[int, int]


# Part of the clip in which the face must be seen, and in which a second face may be.
SEEN_FAIL: Final = 0.5
SEEN_WARN: Final = 0.9
SECOND_FAIL: Final = 0.2
# Height of the face over the height of the frame.
SMALL_FAIL: Final = 0.1
SMALL_WARN: Final = 0.2
# Mean of the face's brightest channel in linear light (0.02 is 39 of 255 in sRGB).
DARK_FAIL: Final = 0.01
DARK_WARN: Final = 0.03
# Relative change of the light between two seconds of the clip.
FLICKER_FAIL: Final = 0.5
FLICKER_WARN: Final = 0.15
# 95th percentile of the landmarks' speed, face widths per second.
SPEED_FAIL: Final = 2.0
SPEED_WARN: Final = 0.4
# Frames per second, and the longest gap between two frames in seconds.
RATE_FAIL: Final = 15.0
RATE_WARN: Final = 20.0
GAP_FAIL_S: Final = 0.5
GAP_WARN_S: Final = 0.25


def check_track(track: CheckedTrack) -> dict[str, Check]:
    """Every check of the contract by name; what is not measured here is `unknown` and says so."""
    return {
        "face": check_face(track),
        "obstruction": _unknown("Whether something covers the face is not measured yet."),
        "liveness": _unknown("Whether a living person is in front of the camera is not measured yet."),
        "lighting": check_lighting(track),
        "motion": check_motion(track),
        "timing": check_timing(track.times_s),
    }


def check_face(track: CheckedTrack) -> Check:
    """One face, seen throughout, large enough."""
    seen = track.faces > 0
    part = float(np.mean(seen)) if seen.size else 0.0
    if part == 0.0:
        return _fail(
            0.0, Reason.NO_FACE, "No face was seen. Sit facing the camera, with the whole face in the picture."
        )
    if float(np.mean(track.faces[seen] > 1)) > SECOND_FAIL:
        return _fail(0.0, Reason.MULTIPLE_FACES, "More than one face was seen. Only one person may be in the picture.")
    lost = f"The face was seen in {part:.0%} of the clip. Stay in the picture, facing the camera."
    if part < SEEN_FAIL:
        return _fail(part, Reason.FACE_LOST, lost)
    heights = np.ptp(track.landmarks[seen][:, :, 1], axis=1)
    height = float(np.median(heights)) / track.size[1]
    small = f"The face fills {height:.0%} of the picture's height. Move closer: 20 % is the least."
    score = float(np.clip(min(part, height / SMALL_WARN), 0.0, 1.0))
    return _graded(
        score,
        fail=((Reason.FACE_TOO_SMALL, height < SMALL_FAIL, small),),
        warn=((Reason.FACE_LOST, part < SEEN_WARN, lost), (Reason.FACE_TOO_SMALL, height < SMALL_WARN, small)),
    )


def check_lighting(track: CheckedTrack) -> Check:
    """Enough light on the face, and the same light throughout."""
    face = track.regions[:, 0]
    known = ~np.isnan(face[:, 1])
    if not known.any():
        return _unknown("The light on the face can't be judged without a face.")
    level = float(np.median(face[known].max(axis=1)))
    change = max(_change(track.times_s, face[:, 1]), _change(track.times_s, track.background[:, 1]))
    dark = "The face is too dark. Turn on a light in front of you, or turn towards a window."
    unsteady = "The light changes during the clip. Avoid screens, passing clouds and automatic exposure."
    score = float(np.clip(min(level / DARK_WARN, 1.0 - change / FLICKER_FAIL), 0.0, 1.0))
    return _graded(
        score,
        fail=((Reason.LOW_LIGHT, level < DARK_FAIL, dark), (Reason.LIGHTING_UNSTABLE, change > FLICKER_FAIL, unsteady)),
        warn=((Reason.LOW_LIGHT, level < DARK_WARN, dark), (Reason.LIGHTING_UNSTABLE, change > FLICKER_WARN, unsteady)),
    )


def check_motion(track: CheckedTrack) -> Check:
    """The head keeps still enough."""
    speed = landmark_speed(track.times_s, track.landmarks)
    known = speed[~np.isnan(speed)]
    if known.size < 2:
        return _unknown("Motion can't be judged without a face.")
    fast = float(np.percentile(known, 95))
    score = float(np.clip(1.0 - fast / SPEED_FAIL, 0.0, 1.0))
    detail = f"The head moves at up to {fast:.1f} face widths a second. Keep still, and don't speak."
    return _graded(
        score,
        fail=((Reason.MOTION, fast > SPEED_FAIL, detail),),
        warn=((Reason.MOTION, fast > SPEED_WARN, detail),),
    )


def check_timing(times_s: NDArray[np.float64]) -> Check:
    """Enough frames, and none of them missing for long."""
    if times_s.size < 2:
        return _unknown("One frame has no timing.")
    steps_s = np.diff(times_s)
    rate, gap_s = float(1.0 / steps_s.mean()), float(steps_s.max())
    score = float(np.clip(min(rate / 30.0, 1.0 - (gap_s - 1 / 15) / GAP_FAIL_S), 0.0, 1.0))
    slow = (
        f"The clip has {rate:.1f} frames a second; {RATE_FAIL:.0f} are needed, 30 are best. More light helps a camera."
    )
    gappy = f"For {gap_s:.2f} s no frame was recorded. Close other programs while recording."
    return _graded(
        score,
        fail=((Reason.FRAME_RATE_LOW, rate < RATE_FAIL, slow), (Reason.TIMING_GAPS, gap_s > GAP_FAIL_S, gappy)),
        warn=((Reason.TIMING_GAPS, gap_s > GAP_WARN_S, gappy), (Reason.FRAME_RATE_LOW, rate < RATE_WARN, slow)),
    )


def landmark_speed(times_s: NDArray[np.float64], landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Speed of the face (n,), in face widths per second, from landmarks (n, 478, 2); NaN where no face was seen."""
    speed = np.full(times_s.size, np.nan)
    if times_s.size < 2:
        return speed
    width = np.hypot(*(landmarks[:, 454] - landmarks[:, 234]).T)
    moved = np.hypot(*np.moveaxis(np.diff(landmarks, axis=0), 2, 0)).mean(axis=1)
    speed[1:] = moved / np.diff(times_s) / np.maximum(width[1:], 1.0)
    speed[0] = speed[1]
    return speed


def _change(times_s: NDArray[np.float64], light: NDArray[np.float32]) -> float:
    """Largest difference between one-second means of `light`, over their median; 0 where nothing is known."""
    seconds = np.floor(times_s).astype(int)
    known = ~np.isnan(light)
    means = [float(light[(seconds == second) & known].mean()) for second in np.unique(seconds[known])]
    return (max(means) - min(means)) / max(float(np.median(means)), 1e-4) if means else 0.0


def _unknown(detail: str) -> Check:
    return Check(status=CheckStatus.UNKNOWN, detail=detail)


def _fail(score: float, reason: Reason, detail: str) -> Check:
    return Check(status=CheckStatus.FAIL, score=round(score, 3), reason=reason, detail=detail)


_Finding = tuple[Reason, bool, str]


def _graded(score: float, fail: tuple[_Finding, ...], warn: tuple[_Finding, ...]) -> Check:
    """The first finding that holds; pass where none does."""
    for status, findings in ((CheckStatus.FAIL, fail), (CheckStatus.WARN, warn)):
        for reason, holds, detail in findings:
            if holds:
                return Check(status=status, score=round(score, 3), reason=reason, detail=detail)
    return Check(status=CheckStatus.PASS, score=round(score, 3))
