"""Is a living person before the camera, or a picture of one? Votes, each bounded by what it is worth, make P(live).

Each cue (`workers.liveness.cues`) becomes a vote: log-odds of a living person, with weights that
`python -m lab.calibrate.liveness` fits to simulated clips and writes to `liveness.json` beside this file. A cue that a
clip can't show does not vote. MiniFASNet's texture, where its weights are installed, is one vote more, and the others
have weights of their own beside it; what fails without it fails with it as well. Without it nothing here can tell a
good film on a steady, borderless screen from a person, so the verdict is then never "pass".
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
from workers.liveness.cues.extraction import cues_of
from workers.models.session import Runner

#: P(live) from which on the verdict is "pass" (the original's threshold), and up to which it is "fail".
PASS: Final = 0.99
FAIL: Final = 0.05


#: Cues of pictures alone: without them nothing is known.
ONE_SIDED: Final = ("stillness", "band", "edges")
# Change over the clip, against noise, from which on a face surely moves; decibels of a flicker that lamps make as well;
# and length of upright edges that doors and shelves have. Nearly all living training clips lie on the harmless side:
# no more is claimed of where the count begins.
_STIRS: Final = 1.6
_BAND_DB: Final = 16.0
_EDGE: Final = 0.35


@dataclass(frozen=True)
class LivenessThresholds:
    """P(live) from which on it passes, and up to which it fails.

    `decisive`: what fails is told no vital of a pulse; else it is warned of.
    """

    passes: float = PASS
    fails: float = FAIL
    decisive: bool = True


@dataclass(frozen=True)
class Vote:
    """What one cue says: log-odds of a living person, and words for it."""

    name: str
    log_odds: float

    @property
    def says(self) -> str:
        """In words."""
        return _WORDS[self.name][self.log_odds < 0]


#: What a vote for and a vote against says.
_WORDS: Final = {
    "pulse": ("a pulse", "hardly a pulse"),
    "blinks": ("the eyes blink", "no blink"),
    "stillness": ("the head moves", "the face never moves"),
    "surroundings": ("the background stays while the head moves", "what surrounds the face moves with it"),
    "band": ("no flicker runs over the face", "a flicker runs over the face, as on a screen"),
    "edges": ("no frame around the face", "straight edges on both sides, as of a print or a screen"),
    "texture": ("skin's texture", "the texture of paper or of a screen"),
}


@dataclass(frozen=True)
class Fusion:
    """Weights of the features (`features`), what each is where nothing is known of it, a constant, and each bound."""

    constant: float
    weights: dict[str, float]
    neutral: dict[str, float]
    most: dict[str, float]

    def votes(self, cues: Cues) -> list[Vote]:
        """The votes of the cues that the clip shows."""
        known = features(cues)
        return [
            Vote(name, float(np.clip(weight * (known[name] - self.neutral[name]), -self.most[name], self.most[name])))
            for name, weight in self.weights.items()
            if name in known
        ]

    def probability(self, votes: Sequence[Vote]) -> float:
        """P(live) by these votes."""
        return float(1 / (1 + np.exp(-self.constant - sum(vote.log_odds for vote in votes))))


def features(cues: Cues) -> dict[str, float]:
    """Each cue that is known on a scale on which more speaks for life; extremes say no more than what is near them.

    What only a picture has (`ONE_SIDED`) is 0 where it is missing, for people and good pictures alike.
    """
    known: dict[str, float | None] = {
        # A pulse that is not found says little: dark skin and dim light hide it.
        "pulse": None if cues.pulse is None else float(np.clip(cues.pulse, -1, 6)),
        "blinks": None if cues.blinks is None else float(min(cues.blinks, 2)),
        "surroundings": None if cues.together is None else -cues.together,
        "stillness": None if cues.stirs is None else -float(np.clip((_STIRS - cues.stirs) / 0.4, 0, 1)),
        "band": None if cues.band is None else -float(np.clip((cues.band - _BAND_DB) / 10, 0, 1)),
        "edges": None if cues.framed is None else -float(np.clip((cues.framed - _EDGE) / 0.2, 0, 1)),
        "texture": None if cues.texture is None else float(np.clip(cues.texture, -5, 5)),
    }
    return {name: value for name, value in known.items() if value is not None}


def fusions() -> Mapping[str, Fusion]:
    """The fitted fusions, `alone` and `with_texture`."""
    document = json.loads((files("workers.liveness") / "liveness.json").read_text("utf-8"))
    return {name: Fusion(**document[name]) for name in ("alone", "with_texture")}


_FUSIONS: Final = fusions()


# Votes below this are not worth a word.
_AUDIBLE: Final = 0.2
_LACKING: Final = " Texture was not judged: `facevitals models fetch fasnet.v2 fasnet.v1se`."


def check_liveness(
    track: FaceTrack, networks: Mapping[str, Runner], thresholds: LivenessThresholds | None = None
) -> Check:
    """The verdict on a track, P(live) as its score; `networks` are MiniFASNet's, by name, or none."""
    return verdict(cues_of(track, networks), thresholds or LivenessThresholds())


def verdict(cues: Cues, limits: LivenessThresholds) -> Check:
    """The verdict that the cues allow."""
    if cues.pulse is None and cues.blinks is None:
        return Check(status=CheckStatus.UNKNOWN, detail="The clip is too short to tell a living face from a picture.")
    plain = _FUSIONS["alone"].votes(replace(cues, texture=None))
    votes, live = plain, _FUSIONS["alone"].probability(plain)
    # Texture tells paper and screens from skin, not a photograph of skin from a person: it saves nobody who fails.
    if cues.texture is not None and live > limits.fails:
        votes = _FUSIONS["with_texture"].votes(cues)
        live = _FUSIONS["with_texture"].probability(votes)
    strongest = sorted(votes, key=lambda vote: -abs(vote.log_odds))
    said = "; ".join(f"{vote.says} ({vote.log_odds:+.1f})" for vote in strongest if abs(vote.log_odds) >= _AUDIBLE)
    found = {"score": round(live, 3), "votes": {vote.name: round(vote.log_odds, 2) + 0.0 for vote in votes}}
    if live <= limits.fails:
        detail = f"This looks like a picture of a person: {said}."
        status = CheckStatus.FAIL if limits.decisive else CheckStatus.WARN
        return Check(status=status, reason=Reason.NOT_LIVE, detail=detail, **found)
    if cues.texture is not None and live >= limits.passes:
        return Check(status=CheckStatus.PASS, detail=f"A living person: {said}.", **found)
    lacking = "" if cues.texture is not None else _LACKING
    return Check(status=CheckStatus.UNKNOWN, detail=f"Not sure: {said or 'nothing speaks clearly'}.{lacking}", **found)
