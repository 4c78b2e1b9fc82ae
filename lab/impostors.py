"""Simulated clips of people and of pictures of people, for the check on liveness: the same seed gives the same clip.

Training and report take seeds from ranges that don't meet, and portraits of different people.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from lab.bench.trial import code_mark
from lab.simulate import ClipSpec
from lab.simulate.cutout import NoFaceInPortrait, find_person
from lab.simulate.mesh import CHEEKS, area
from lab.simulate.optics import to_linear
from lab.simulate.portrait import read_picture
from lab.trials import film
from shared.vitals import Branch
from workers.face.tracker import FaceTracker
from workers.liveness.cues import Cues
from workers.liveness.cues.extraction import extract_cues
from workers.liveness.cues.texture import FASNET
from workers.media.clip import open_clip
from workers.vision.attribute_models import VisionModels, VisionOptions

#: First seeds of the clips that the votes are fitted to, and of those that error rates are told of.
TRAINING_SEED: Final = 3_000_000
REPORT_SEED: Final = 4_000_000

#: A print waved and bent, a film and a still on a screen, and a photograph that fills the camera's picture.
ATTACKS: Final = ("waved", "bent", "replayed", "shown", "still")
# In each round: the living twice as often as any attack.
_ROUND: Final = ("live", "waved", "replayed", "live", "shown", "bent", "still")

#: From this year on somebody is filmed.
ADULT: Final = 20


@dataclass(frozen=True)
class Person:
    """A picture of somebody (None: scikit-image's astronaut) and the Fitzpatrick type of skin that it shows."""

    picture: Path | None
    skin_tone: int


def people(folder: Path | None, *, report: bool) -> list[Person]:
    """The people for training or for the report, from a folder with `labels.json`; without one the astronaut alone.

    The six types are sixths of the folder's adults by the individual typology angle of their cheeks (Chardon et al.
    1991): pictures taken in whatever light tell who is darker than whom, and no more.
    """
    if folder is None:
        return [Person(None, 2)]
    labels: list[dict[str, str]] = json.loads((folder / "labels.json").read_text("utf-8"))
    adults = [label["file"] for label in labels if int(label["age_band"].rstrip("+").split("-")[0]) >= ADULT]
    own = [folder / name for index, name in enumerate(adults) if (index % 2 == 1) == report]
    angles = {path: angle for path in own if (angle := _angle(path)) is not None}
    lightest_first = sorted(angles, key=lambda path: -angles[path])
    return [Person(path, 1 + 6 * place // len(lightest_first)) for place, path in enumerate(lightest_first)]


def _angle(path: Path) -> float | None:
    """The cheeks' typology angle in degrees; None for a face that the simulator can't animate."""
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


def spec(seed: int, cast: list[Person], duration_s: float = 15.0) -> ClipSpec:
    """One clip's conditions: somebody of the cast, alive or pictured, in some light, moving more or less."""
    rng = np.random.default_rng([seed, 23])
    person = cast[int(rng.integers(len(cast)))]
    codec = str(rng.choice(["h264", "vp8"], p=[0.6, 0.4]))
    return ClipSpec(
        seed=seed,
        kind=_ROUND[seed % len(_ROUND)],
        portrait=person.picture,
        portrait_skin_tone=person.skin_tone,
        skin_tone=1 + seed % 6 if person.picture is None else person.skin_tone,
        heart_rate=round(float(rng.uniform(50, 110)), 2),
        respiration_rate=round(float(rng.uniform(9, 24)), 2),
        # Before a screen people blink 4 to 20 times a minute (Patel et al. 1991; Rosenfield 2011).
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
class Trial:
    """One clip's kind and conditions, and its cues."""

    kind: str
    seed: int
    skin_tone: int
    cues: Cues

    @property
    def live(self) -> bool:
        """Whether somebody living was filmed."""
        return self.kind in {"live", "real"}


def trials(count: int, clips: Path, faces: Path | None, models_dir: Path, *, report: bool) -> list[Trial]:
    """The first so many clips of training or of the report, filmed into `clips` where they are not there yet.

    Their cues are kept there as well, by the code that read them. MiniFASNet is asked where it is installed.
    """
    cast, first = people(faces, report=report), REPORT_SEED if report else TRAINING_SEED
    reader = Reader(models_dir)
    found = []
    for number in range(count):
        shot = film(spec(first + number, cast), clips)
        kept = shot.path.with_suffix(f".cues-{reader.mark}.json")
        if not kept.is_file():
            kept.write_text(json.dumps(asdict(reader.cues(shot.path))), "utf-8")
        cues = Cues(**json.loads(kept.read_text("utf-8")))
        found.append(Trial(shot.spec.kind, shot.spec.seed, shot.spec.skin_tone, cues))
    return found


def people_of(folder: Path, models_dir: Path) -> list[Trial]:
    """Real clips, each of one living person."""
    reader = Reader(models_dir)
    return [Trial("real", 0, 0, reader.cues(path)) for path in sorted(folder.glob("*.mp4"))]


class Reader:
    """Reads the cues of clips; MiniFASNet is asked where it is installed. `mark` changes with the code that reads."""

    def __init__(self, models_dir: Path) -> None:
        models = VisionModels.load(VisionOptions(models_dir))
        self._networks = {name: models.networks[name] for name in FASNET if name in models.networks}
        self._tracker = FaceTracker()
        code = sorted(Path(str(files("workers.liveness.cues"))).glob("*.py"))
        parts = [code_mark(), *(path.read_text("utf-8") for path in code), *sorted(self._networks)]
        self.mark = hashlib.sha256("".join(parts).encode()).hexdigest()[:12]

    def cues(self, path: Path) -> Cues:
        """What a clip shows."""
        with open_clip(path) as clip:
            return extract_cues(self._tracker.track(clip.frames(), (Branch.VISION,)), self._networks)
