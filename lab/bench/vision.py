"""`python -m lab.bench.vision FACES`: age and gender on labelled portraits, and the constants that follow from them.

FACES holds pictures and `labels.json`: a list of {"file", "age_band" ("20-29", "70+"), "gender"}. Pictures take the
service's own way: mesh, portrait, models. The constants of `workers.vision.age_gender.attribute_calibration` are
fitted to them; every error that is printed is "held out": of ten-fold cross-validation, five times over.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from lab.bench.looks import OLDEST, Floats, Truth
from lab.bench.looks_tables import Faces, age_table, bmi_table, gender_table
from lab.bench.report import Report
from workers.face.mesh import FaceFinder
from workers.face.portraits import Portrait, portrait_from_frame
from workers.vision.age_gender.attribute_calibration import GENDER_CALIBRATIONS
from workers.vision.attribute_models import FACE_MODELS, VisionModels, VisionOptions
from workers.vision.bmi.proportions import FRONTAL, ratios

# Faces that fill their picture are found once there is something around them.
_BORDER: Final = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Print tables and constants; the last line is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.vision", description=__doc__)
    parser.add_argument("faces", type=Path)
    options = parser.parse_args(arguments)
    tables, missed = looks(options.faces)
    for table in tables:
        sys.stdout.write(table.markdown + "\n")
    sys.stdout.write(json.dumps({"no mesh": missed, **{table.name: table.summary for table in tables}}) + "\n")
    return 0


def looks(folder: Path) -> tuple[list[Report], int]:
    """Tables of age, gender and BMI on a folder's portraits, and how many pictures show no face."""
    faces, missed = answers(folder)
    tables = [age_table(model, raw, faces.truth) for model, raw in faces.ages.items()]
    tables += [
        gender_table(models, faces)
        for models in GENDER_CALIBRATIONS
        if all(model in faces.log_odds for model in models)
    ]
    return [*tables, bmi_table(faces.ratios)], missed


def answers(folder: Path) -> tuple[Faces, int]:
    """What the models say of every picture in which a face is found, and how many there are without."""
    portraits, labels, missed = portraits_of(folder)
    low, high = (np.array(column) for column in zip(*(band(label["age_band"]) for label in labels), strict=True))
    truth = Truth(low, high, np.array([label["gender"] == "male" for label in labels]))
    with tempfile.TemporaryDirectory() as models_dir:
        models = VisionModels.load(VisionOptions(Path(models_dir)), only_used=False)
    ages: dict[str, Floats] = {}
    log_odds: dict[str, Floats] = {}
    for spec in FACE_MODELS:
        if spec.model not in models.networks:
            continue
        # One at a time: a picture is a person, and gets every view of it.
        looks = [spec.predict([portrait], models.networks[spec.model]) for portrait in portraits]
        if looks[0].ages is not None:
            ages[spec.model] = np.array([look.ages[0] for look in looks if look.ages is not None], np.float64)
        if looks[0].log_odds is not None:
            log_odds[spec.model] = np.array(
                [look.log_odds[0] for look in looks if look.log_odds is not None], np.float64
            )
    adults = [portrait for portrait, adult in zip(portraits, truth.adult, strict=True) if adult]
    return Faces(ages, log_odds, truth, _ratios(adults)), missed


def _ratios(adults: Sequence[Portrait]) -> Floats:
    """Face ratios (m, 7) of those who look straight ahead."""
    return np.array([ratios(adult.landmarks) for adult in adults if adult.frontality >= FRONTAL]).reshape(-1, 7)


def portraits_of(folder: Path) -> tuple[list[Portrait], list[dict[str, str]], int]:
    """The portraits in which a face is found, their labels, and how many pictures show none."""
    labels: list[dict[str, str]] = json.loads((folder / "labels.json").read_text("utf-8"))
    finder = FaceFinder()
    found = [(portrait, label) for label in labels if (portrait := portrait_at(finder, folder / label["file"]))]
    finder.close()
    return [portrait for portrait, _ in found], [label for _, label in found], len(labels) - len(found)


def portrait_at(finder: FaceFinder, path: Path) -> Portrait | None:
    """The portrait of a picture, or None where no face is found in it."""
    picture = cv2.imread(str(path))
    if picture is None:
        raise SystemExit(f"{path} is not a picture")
    for border in (0, _BORDER):
        framed = cv2.copyMakeBorder(picture, border, border, border, border, cv2.BORDER_REPLICATE)
        rgb = np.ascontiguousarray(np.asarray(framed, np.uint8)[..., ::-1])
        finder.reset()
        if finder.mesh(rgb) is not None:
            # Looked at twice, as in a clip: the second mesh starts from the first.
            mesh = finder.mesh(rgb)
            return None if mesh is None else portrait_from_frame(0.0, rgb, mesh)
    return None


def band(name: str) -> tuple[float, float]:
    """First year of an age band, and the one after its last."""
    if name.endswith("+"):
        return float(name[:-1]), OLDEST
    low, _, high = name.partition("-")
    return float(low), float(high) + 1.0


if __name__ == "__main__":
    sys.exit(main())
