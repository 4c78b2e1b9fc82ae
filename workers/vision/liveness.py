"""Is a living person before the camera, or a picture of one? Votes, each bounded by what it is worth, make P(live).

A pulse in step on forehead and cheeks speaks for life (a film of a living face has one as well); a straight edge on
both sides of the face speaks for a print or a screen; MiniFASNet, where its weights are installed, judges the texture.
Without it nothing here can tell a good film on a borderless screen from a person, so the verdict is then never "live":
it is `unknown`, or `fail` where edges and a missing pulse agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.schemas import Check, CheckStatus
from shared.vitals import Reason
from workers.face import FaceTrack
from workers.models.fasnet import SIDE
from workers.models.session import Network
from workers.portraits import Portrait
from workers.rppg.estimators import pos
from workers.rppg.filters import pulse_wave
from workers.rppg.traces import NoTraces, traces_of

#: P(live) from which on the verdict is "pass" (the original's threshold), and up to which it is "fail".
PASS: Final = 0.99
FAIL: Final = 0.05

# Correlation of the regions' POS waves at which nothing is said, and log-odds each unit of it adds. On 28 simulated and
# 3 real clips of 8 s it is 0.12 to 0.95 for the living (median 0.50), -0.21 to 0.17 for prints and stills, and -0.04 to
# 0.46 for films on a screen. A missing pulse is no proof: dark skin and little light lose it, so it counts little.
_IN_STEP: Final = 0.27
_PER_CORRELATION: Final = 8.0
_MOST_PULSE: Final = 1.5
_SHORTEST_S: Final = 5.0
# An edge is upright, longer than this part of the portrait's height, and lies beside the face; one on each side was on
# none of 9 living clips and on 8 of 22 attacks.
_EDGE: Final = 0.45
_EDGE_ODDS: Final = -2.5
_MOST_TEXTURE: Final = 5.0
#: Sides of MiniFASNet's crops, in those of the face's box: by the names of their weights.
FASNET: Final = {"fasnet.v2": 2.7, "fasnet.v1se": 4.0}
_PORTRAITS: Final = 3


@dataclass(frozen=True)
class Vote:
    """What one cue says: log-odds of a living person, and words for it."""

    log_odds: float
    says: str


@dataclass(frozen=True)
class LivenessThresholds:
    """P(live) from which on it passes, and up to which it fails."""

    passes: float = PASS
    fails: float = FAIL


def check_liveness(
    track: FaceTrack, networks: dict[str, Network], thresholds: LivenessThresholds | None = None
) -> Check:
    """The verdict on a track, P(live) as its score; `networks` are MiniFASNet's, by name, or none."""
    limits = thresholds or LivenessThresholds()
    best = sorted(track.portraits, key=lambda portrait: -portrait.quality)[:_PORTRAITS]
    texture = texture_vote(best, networks)
    votes = [vote for vote in (pulse_vote(track), edge_vote(best), texture) if vote is not None]
    if not votes:
        return Check(status=CheckStatus.UNKNOWN, detail="The clip is too short to tell a living face from a picture.")
    live = float(1 / (1 + np.exp(-sum(vote.log_odds for vote in votes))))
    said = "; ".join(f"{vote.says} ({vote.log_odds:+.1f})" for vote in votes)
    score = round(live, 3)
    if live <= limits.fails:
        detail = f"This looks like a picture of a person: {said}."
        return Check(status=CheckStatus.FAIL, score=score, reason=Reason.NOT_LIVE, detail=detail)
    if texture is not None and live >= limits.passes:
        return Check(status=CheckStatus.PASS, score=score, detail=f"A living person: {said}.")
    lacking = "" if texture else " Texture was not judged: `facevitals models fetch fasnet.v2 fasnet.v1se`."
    return Check(status=CheckStatus.UNKNOWN, score=score, detail=f"Not sure: {said}.{lacking}")


def pulse_vote(track: FaceTrack) -> Vote | None:
    """Forehead's and cheeks' POS waves against each other; None where the clip is too short or the face is lost."""
    try:
        traces = traces_of(track)
    except NoTraces:
        return None
    regions = [region for region in traces.regions[1:] if np.isfinite(region).all()]
    if traces.duration_s < _SHORTEST_S or len(regions) < 2:
        return None
    waves = np.array([pulse_wave(pos.project(region, traces.fs), traces.fs) for region in regions])
    if not np.all(waves.std(axis=1) > 0):
        return Vote(-_MOST_PULSE, "nothing pulsates")
    together = float(np.corrcoef(waves)[np.triu_indices(len(waves), 1)].mean())
    odds = float(np.clip(_PER_CORRELATION * (together - _IN_STEP), -_MOST_PULSE, _MOST_PULSE))
    return Vote(odds, "the face's regions pulsate in step" if odds > 0 else "hardly a pulse that the regions share")


def edge_vote(portraits: Sequence[Portrait]) -> Vote | None:
    """A long upright edge on both sides of the face, on most of the portraits; None where there is none."""
    if not portraits:
        return None
    framed = float(np.median([_framed(portrait) for portrait in portraits]))
    return Vote(_EDGE_ODDS, "straight edges on both sides, as of a print or a screen") if framed >= _EDGE else None


def _framed(portrait: Portrait) -> float:
    """Length of the shorter of the longest upright edges left and right of the face, in heights of the portrait."""
    grey = cv2.GaussianBlur(cv2.cvtColor(portrait.rgb, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    height = portrait.rgb.shape[0]
    lines = cv2.HoughLinesP(cv2.Canny(grey, 30, 80), 1, np.pi / 180, 60, minLineLength=_EDGE * height, maxLineGap=6)
    low, high = portrait.landmarks[:, 0].min(), portrait.landmarks[:, 0].max()
    left = right = 0.0
    found = np.zeros((0, 4)) if lines is None else np.asarray(lines, np.float64).reshape(-1, 4)  # type: ignore[redundant-expr]
    for x1, y1, x2, y2 in found:
        rise, middle = abs(y2 - y1), (x1 + x2) / 2
        if abs(x2 - x1) > 0.25 * rise:
            continue
        left = max(left, rise / height) if middle < low else left
        right = max(right, rise / height) if middle > high else right
    return min(left, right)


def texture_vote(portraits: Sequence[Portrait], networks: dict[str, Network]) -> Vote | None:
    """MiniFASNet's two networks, averaged as DeepFace does; None where one of them is not installed."""
    if not portraits or any(name not in networks for name in FASNET):
        return None
    live = float(np.median([live_by_texture(one.rgb, face_box(one.landmarks), networks) for one in portraits]))
    odds = float(np.clip(np.log(max(live, 1e-6) / max(1 - live, 1e-6)), -_MOST_TEXTURE, _MOST_TEXTURE))
    return Vote(odds, "skin's texture" if odds > 0 else "the texture of paper or of a screen")


def live_by_texture(
    rgb: NDArray[np.uint8], box: tuple[float, float, float, float], networks: dict[str, Network]
) -> float:
    """Probability of a living face in `box` (x, y, w, h) of a picture (h, w, 3)."""
    total = 0.0
    for name, scale in FASNET.items():
        crop = _around(rgb, box, scale)[..., ::-1].astype(np.float32)
        logits = networks[name](np.ascontiguousarray(crop.transpose(2, 0, 1)[None]))[0]
        powers = np.exp(logits - logits.max())
        total += float(powers[1] / powers.sum()) / len(FASNET)
    return total


def face_box(landmarks: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """The box (x, y, w, h) of a face as detectors draw it: from mid-forehead to chin, about square."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    side = float(0.9 * (high - low).max())
    middle = (low + high) / 2
    return float(middle[0] - side / 2), float(high[1] - side), side, side


def _around(rgb: NDArray[np.uint8], box: tuple[float, float, float, float], scale: float) -> NDArray[np.uint8]:
    """The crop (80, 80, 3), `scale` times the box, moved and shrunk into the picture as in the networks' training."""
    height, width = rgb.shape[:2]
    x, y, w, h = box
    scale = min((height - 1) / h, (width - 1) / w, scale)
    size = np.array([w, h]) * scale
    corner = np.array([x + w / 2, y + h / 2]) - size / 2
    corner = np.clip(corner, 0, np.maximum(np.array([width - 1, height - 1]) - size, 0)).astype(int)
    end = np.minimum(corner + size.astype(int) + 1, (width, height))
    return np.asarray(cv2.resize(rgb[corner[1] : end[1], corner[0] : end[0]], (SIDE, SIDE)), np.uint8)
