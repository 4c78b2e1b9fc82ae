"""Simulated clips of people and of presentation attacks, for the liveness check: the same seed gives the same clip.

Training and report take seeds from disjoint ranges, and portraits of different people.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from lab.data.fingerprint import workers_fingerprint
from lab.data.vitals_clips import render
from lab.simulate import ClipSpec
from lab.simulate.cutout import NoFaceInPortrait, find_person
from lab.simulate.face_regions import CHEEKS, area
from lab.simulate.optics import to_linear
from lab.simulate.portrait import read_picture
from shared.vitals import Branch
from workers.face.tracker import FaceTracker
from workers.liveness.cues import Cues
from workers.liveness.cues.extraction import extract_cues
from workers.liveness.cues.texture import FASNET
from workers.media.clip import open_clip
from workers.vision.attribute_models import VisionModels, VisionOptions

#: First seed of the clips that weights are fitted to, and of those that error rates are measured on.
TRAINING_SEED: Final = 3_000_000
REPORT_SEED: Final = 4_000_000

#: Kinds of attack: a waved print, a bent print, a film and a still on a screen, a photograph that fills the picture.
ATTACKS: Final = ("waved", "bent", "replayed", "shown", "still")
#: Kinds in each round of seeds: the living twice as often as any attack.
_ROUND: Final = ("live", "waved", "replayed", "live", "shown", "bent", "still")

#: Youngest age band whose portraits are used.
MIN_AGE_YEARS: Final = 20


@dataclass(frozen=True)
class Subject:
    """A picture of a person (None: scikit-image's astronaut), and the Fitzpatrick type of skin that it shows."""

    picture: Path | None
    skin_tone: int


def load_subjects(folder: Path | None, *, report: bool) -> list[Subject]:
    """The subjects for training, or for the report, from a folder with `labels.json`; the astronaut alone for None.

    The six Fitzpatrick types are sixths of the folder's adults by the individual typology angle of their cheeks
    (Chardon et al. 1991). In pictures taken in different light the angle gives an order, not the type itself.
    """
    if folder is None:
        return [Subject(None, 2)]
    labels: list[dict[str, str]] = json.loads((folder / "labels.json").read_text("utf-8"))
    adults = [label["file"] for label in labels if int(label["age_band"].rstrip("+").split("-")[0]) >= MIN_AGE_YEARS]
    own = [folder / name for index, name in enumerate(adults) if (index % 2 == 1) == report]
    angles = {path: angle for path in own if (angle := _typology_angle(path)) is not None}
    lightest_first = sorted(angles, key=lambda path: -angles[path])
    return [Subject(path, 1 + 6 * place // len(lightest_first)) for place, path in enumerate(lightest_first)]


def _typology_angle(path: Path) -> float | None:
    """Individual typology angle of the cheeks in degrees; None for a face that the simulator can't animate."""
    picture = read_picture(path)
    try:
        mesh, _ = find_person(picture)
    except NoFaceInPortrait:
        return None
    (left_up, left_down), (right_up, right_down) = CHEEKS
    outline = (left_up, right_up, right_down, left_down)
    between = area(mesh, outline, (picture.shape[1], picture.shape[0]), 1.0) > 0.5
    if not between.any():
        return None
    lab = cv2.cvtColor(to_linear(picture)[between][None], cv2.COLOR_LRGB2Lab)[0]
    lightness, _, yellow = np.median(lab, axis=0)
    return float(np.degrees(np.arctan2(lightness - 50.0, max(float(yellow), 1.0))))


def liveness_spec(seed: int, subjects: list[Subject], duration_s: float = 15.0) -> ClipSpec:
    """Conditions of one clip: a subject, alive or in an attack, with light, motion and codec drawn by the seed."""
    rng = np.random.default_rng([seed, 23])
    subject = subjects[int(rng.integers(len(subjects)))]
    codec = str(rng.choice(["h264", "vp8"], p=[0.6, 0.4]))
    return ClipSpec(
        seed=seed,
        kind=_ROUND[seed % len(_ROUND)],
        portrait=subject.picture,
        portrait_skin_tone=subject.skin_tone,
        skin_tone=1 + seed % 6 if subject.picture is None else subject.skin_tone,
        heart_rate=round(float(rng.uniform(50, 110)), 2),
        respiration_rate=round(float(rng.uniform(9, 24)), 2),
        # At a screen people blink 4 to 20 times a minute (Patel et al. 1991; Rosenfield 2011).
        blink_rate=round(float(rng.uniform(4, 20)), 1),
        duration_s=duration_s,
        light=float(rng.choice([1.0, 0.5, 0.25], p=[0.5, 0.25, 0.25])),
        motion=float(rng.choice([0.3, 1.0, 2.0], p=[0.25, 0.5, 0.25])),
        codec=codec,
        duration_header=codec == "h264",
        bitrate_bps=int(rng.choice([2_500_000, 1_000_000], p=[0.7, 0.3])),
        fps=float(rng.choice([30.0, 25.0, 20.0], p=[0.7, 0.15, 0.15])),
    )


@dataclass(frozen=True)
class LivenessClip:
    """One clip's kind ("real" for a recording), seed and skin tone (0 for a recording), and its cues."""

    kind: str
    seed: int
    skin_tone: int
    cues: Cues

    @property
    def live(self) -> bool:
        """Whether the clip shows a living person."""
        return self.kind in {"live", "real"}


def simulated_clips(
    count: int, clips: Path, faces: Path | None, models_dir: Path, *, report: bool
) -> list[LivenessClip]:
    """The first `count` clips for training, or for the report, rendered into `clips` unless they are there.

    Their cues are kept beside them, under a name that changes with the code that reads them. MiniFASNet is run where it
    is installed.
    """
    subjects, first = load_subjects(faces, report=report), REPORT_SEED if report else TRAINING_SEED
    reader = CueReader(models_dir)
    found = []
    for number in range(count):
        clip = render(liveness_spec(first + number, subjects), clips)
        kept = clip.path.with_suffix(f".cues-{reader.fingerprint}.json")
        if not kept.is_file():
            kept.write_text(json.dumps(asdict(reader.read(clip.path))), "utf-8")
        cues = Cues(**json.loads(kept.read_text("utf-8")))
        found.append(LivenessClip(clip.spec.kind, clip.spec.seed, clip.spec.skin_tone, cues))
    return found


def real_clips(folder: Path, models_dir: Path) -> list[LivenessClip]:
    """The MP4 recordings of a folder, each of one living person."""
    reader = CueReader(models_dir)
    return [LivenessClip("real", 0, 0, reader.read(path)) for path in sorted(folder.glob("*.mp4"))]


class CueReader:
    """Reads the liveness cues of clips, with MiniFASNet where it is installed.

    `fingerprint` changes with the workers' code, the cues' code and the networks.
    """

    def __init__(self, models_dir: Path) -> None:
        models = VisionModels.load(VisionOptions(models_dir))
        self._networks = {name: models.networks[name] for name in FASNET if name in models.networks}
        self._tracker = FaceTracker()
        code = sorted(Path(str(files("workers.liveness.cues"))).glob("*.py"))
        parts = [workers_fingerprint(), *(path.read_text("utf-8") for path in code), *sorted(self._networks)]
        self.fingerprint = hashlib.sha256("".join(parts).encode()).hexdigest()[:12]

    def read(self, path: Path) -> Cues:
        """The cues of a clip.

        Raises:
            ClipRejected: the clip can't be read.
        """
        with open_clip(path) as clip:
            return extract_cues(self._tracker.track(clip.frames(), (Branch.VISION,)), self._networks)
