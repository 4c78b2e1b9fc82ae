"""The check `liveness`: the probability that a living person, not a picture of one, is before the camera.

Each cue (`workers.liveness.cues`) becomes a vote: bounded log-odds of a living person, with weights that `python -m
lab.calibrate.liveness_weights` fits to simulated clips and writes to `liveness.json` beside this file. The sum of the
votes gives P(live). A cue that is not known for a clip has no vote. Where the weights of MiniFASNet are installed, its
texture is another vote, and the others have separate weights; a clip that fails without texture fails with it as well.
Light can make a picture vary as a pulse does: a clip that fails without the pulse's vote fails with it as well.
Without texture no cue separates a good video on a steady, borderless screen from a person, so the check then never
passes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Final

import numpy as np

from shared.schemas import Check, CheckStatus
from shared.vitals import Reason
from workers.face.tracker import FaceTrack
from workers.liveness.cues import Cues
from workers.liveness.cues.extraction import extract_cues
from workers.models.session import Runner
from workers.rppg.pipeline import Examined

__all__ = [
    "ONE_SIDED",
    "Examined",
    "LivenessFusion",
    "LivenessThresholds",
    "check_liveness",
    "features",
    "load_fusions",
    "verdict",
]

#: P(live) from which on the check passes (the original system's threshold), and up to which it fails.
PASS: Final = 0.99
FAIL: Final = 0.05

#: Cues that only pictures have. Their absence is no evidence for a living person.
ONE_SIDED: Final = ("stillness", "band", "edges")
#: Where the cues of pictures begin to count; nearly all living training clips are on the other side. Self-motion below
#: which a face may be still, prominence of a flicker in decibels beyond that of lamps, and length of upright edges
#: beyond that of doors and shelves.
_STILL_BELOW: Final = 1.6
_BAND_ABOVE_DB: Final = 16.0
_EDGES_ABOVE: Final = 0.35


@dataclass(frozen=True)
class LivenessThresholds:
    """P(live) from which on the check passes (`passes`), and up to which it fails (`fails`).

    `decisive`: a clip below `fails` fails, and no vital of a pulse is reported; otherwise the check warns.
    """

    passes: float = PASS
    fails: float = FAIL
    decisive: bool = True


@dataclass(frozen=True)
class Vote:
    """The vote of one cue: log-odds of a living person."""

    name: str
    log_odds: float

    @property
    def description(self) -> str:
        """The vote in words, for the user."""
        return _DESCRIPTIONS[self.name][self.log_odds < 0]


#: Descriptions of a vote for a living person and of a vote against, by cue.
_DESCRIPTIONS: Final = {
    "pulse": ("a pulse", "hardly a pulse"),
    "blinks": ("the eyes blink", "no blink"),
    "stillness": ("the head moves", "the face never moves"),
    "surroundings": ("the background stays while the head moves", "what surrounds the face moves with it"),
    "band": ("no flicker runs over the face", "a flicker runs over the face, as on a screen"),
    "edges": ("no frame around the face", "straight edges on both sides, as of a print or a screen"),
    "texture": ("skin's texture", "the texture of paper or of a screen"),
}


@dataclass(frozen=True)
class LivenessFusion:
    """A logistic regression on `features` with bounded terms.

    intercept  log-odds without any vote
    weights    log-odds per unit of each feature
    neutral    the value of each feature that is evidence for neither side
    bounds     largest absolute log-odds of each vote
    """

    intercept: float
    weights: dict[str, float]
    neutral: dict[str, float]
    bounds: dict[str, float]

    def votes(self, cues: Cues) -> list[Vote]:
        """Return the votes of the cues that are known."""
        known = features(cues)
        return [
            Vote(
                name, float(np.clip(weight * (known[name] - self.neutral[name]), -self.bounds[name], self.bounds[name]))
            )
            for name, weight in self.weights.items()
            if name in known
        ]

    def probability(self, votes: Sequence[Vote]) -> float:
        """Return P(live)."""
        return float(1 / (1 + np.exp(-self.intercept - sum(vote.log_odds for vote in votes))))


def features(cues: Cues) -> dict[str, float]:
    """Return the known cues as features: larger values are evidence for a living person, and extremes are clipped.

    Features of `ONE_SIDED` cues are 0 where the cue is absent, for people and good pictures alike.
    """
    known: dict[str, float | None] = {
        # A pulse that is not detected is weak evidence: dark skin and dim light hide it.
        "pulse": None if cues.pulse is None else float(np.clip(cues.pulse, -1, 6)),
        "blinks": None if cues.blinks is None else float(min(cues.blinks, 2)),
        "surroundings": None if cues.background_moves_with_face is None else -cues.background_moves_with_face,
        "stillness": None
        if cues.self_motion is None
        else -float(np.clip((_STILL_BELOW - cues.self_motion) / 0.4, 0, 1)),
        "band": None if cues.rolling_band is None else -float(np.clip((cues.rolling_band - _BAND_ABOVE_DB) / 10, 0, 1)),
        "edges": None if cues.border_edges is None else -float(np.clip((cues.border_edges - _EDGES_ABOVE) / 0.2, 0, 1)),
        "texture": None if cues.texture is None else float(np.clip(cues.texture, -5, 5)),
    }
    return {name: value for name, value in known.items() if value is not None}


def load_fusions() -> Mapping[str, LivenessFusion]:
    """Load the fitted fusions `alone` and `with_texture` from `liveness.json`."""
    document = json.loads((files("workers.liveness") / "liveness.json").read_text("utf-8"))
    return {name: LivenessFusion(**document[name]) for name in ("alone", "with_texture")}


_FUSIONS: Final = load_fusions()
#: Smallest absolute log-odds of a vote that the check's detail mentions.
_MIN_MENTIONED: Final = 0.2
_NO_TEXTURE: Final = " Texture was not judged: `facevitals models fetch fasnet.v2 fasnet.v1se`."


def check_liveness(
    track: FaceTrack,
    networks: Mapping[str, Runner],
    thresholds: LivenessThresholds | None = None,
    examined: Examined | None = None,
) -> Check:
    """Return the check on a track, with P(live) as its score.

    `networks` are MiniFASNet's by name, where installed; `examined` is the pulse, if it is known already.
    """
    return verdict(extract_cues(track, networks, examined), thresholds or LivenessThresholds())


def verdict(cues: Cues, thresholds: LivenessThresholds) -> Check:
    """Return the check that follows from the cues; `unknown` where they do not suffice."""
    if cues.pulse is None and cues.blinks is None:
        return Check(
            status=CheckStatus.UNKNOWN, detail="The clip is too short to distinguish a living face from a picture."
        )
    without_texture = _FUSIONS["alone"].votes(replace(cues, texture=None))
    votes, live = without_texture, _FUSIONS["alone"].probability(without_texture)
    without_pulse = _FUSIONS["alone"].probability([vote for vote in votes if vote.name != "pulse"])
    if without_pulse <= thresholds.fails:
        live = min(live, without_pulse)
    # Texture separates skin from paper and screens, but not a person from a good photograph: a clip that fails without
    # it still fails.
    if cues.texture is not None and live > thresholds.fails:
        votes = _FUSIONS["with_texture"].votes(cues)
        live = _FUSIONS["with_texture"].probability(votes)
    strongest = sorted(votes, key=lambda vote: -abs(vote.log_odds))
    reasons = "; ".join(
        f"{vote.description} ({vote.log_odds:+.1f})" for vote in strongest if abs(vote.log_odds) >= _MIN_MENTIONED
    )
    values = {"score": round(live, 3), "votes": {vote.name: round(vote.log_odds, 2) + 0.0 for vote in votes}}
    if live <= thresholds.fails:
        detail = f"This looks like a picture of a person: {reasons}."
        status = CheckStatus.FAIL if thresholds.decisive else CheckStatus.WARN
        return Check(status=status, reason=Reason.NOT_LIVE, detail=detail, **values)
    if cues.texture is not None and live >= thresholds.passes:
        return Check(status=CheckStatus.PASS, detail=f"A living person: {reasons}.", **values)
    note = "" if cues.texture is not None else _NO_TEXTURE
    return Check(status=CheckStatus.UNKNOWN, detail=f"Not sure: {reasons or 'no cue is clear'}.{note}", **values)
