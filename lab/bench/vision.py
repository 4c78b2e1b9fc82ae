"""`python -m lab.bench.vision FACES`: age and gender on labelled portraits, and the constants that follow from them.

FACES holds pictures and `labels.json`: a list of {"file", "age_band" ("20-29", "70+"), "gender"}. Pictures take the
service's own way: mesh, portrait, models. The constants of `workers.vision.calibration` are fitted to them; every error
that is printed is "held out": of ten-fold cross-validation, five times over.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.bench.looks import OLDEST, Floats, Truth, fit_age, fit_gender, folds, years
from workers.mesh import FaceFinder
from workers.portraits import Portrait, portrait_of
from workers.vision.age import BASELINE_YEARS
from workers.vision.bmi import FRONTAL, SIGNS, ratios
from workers.vision.calibration import AGE, GENDER
from workers.vision.gender import LEAST_PROBABILITY
from workers.vision.models import FACE_MODELS, VisionModels

# Faces that fill their picture are found once there is something around them.
_BORDER: Final = 60


@dataclass(frozen=True)
class Faces:
    """What each network says of n pictures, uncalibrated, by model; and the truth."""

    ages: dict[str, Floats]
    log_odds: dict[str, Floats]
    truth: Truth
    ratios: list[list[float]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print tables and constants; the last line is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.vision", description=__doc__)
    parser.add_argument("faces", type=Path)
    options = parser.parse_args(arguments)
    faces, missed = answers(options.faces)
    report: dict[str, Any] = {"pictures": len(faces.truth.low), "no mesh": missed}
    report["bmi: mean, spread and index spread of face ratios, frontal adults"] = faces.ratios
    report |= {f"age by {model}": _age(model, raw, faces.truth) for model, raw in faces.ages.items()}
    for models in GENDER:
        if all(model in faces.log_odds for model in models):
            report[f"gender by {' + '.join(models)}"] = _gender(models, faces)
    for name, value in report.items():
        if isinstance(value, dict):
            sys.stdout.write(f"\n{name}\n")
            for part, figure in value.items():
                sys.stdout.write(f"  {part}: {figure}\n")
        else:
            sys.stdout.write(f"{name}: {value}\n")
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


def answers(folder: Path) -> tuple[Faces, int]:
    """What the models say of every picture in which a face is found, and how many there are without."""
    portraits, labels, missed = portraits_of(folder)
    low, high = (np.array(column) for column in zip(*(band(label["age_band"]) for label in labels), strict=True))
    truth = Truth(low, high, np.array([label["gender"] == "male" for label in labels]))
    with tempfile.TemporaryDirectory() as models_dir:
        models = VisionModels.load(Path(models_dir), only_used=False)
    ages: dict[str, Floats] = {}
    log_odds: dict[str, Floats] = {}
    for spec in FACE_MODELS:
        if spec.model not in models.networks:
            continue
        # One at a time: a picture is a person, and gets every view of it.
        looks = [spec.look([portrait], models.networks[spec.model]) for portrait in portraits]
        if looks[0].ages is not None:
            ages[spec.model] = np.array([look.ages[0] for look in looks if look.ages is not None], np.float64)
        if looks[0].log_odds is not None:
            log_odds[spec.model] = np.array(
                [look.log_odds[0] for look in looks if look.log_odds is not None], np.float64
            )
    adults = [portrait for portrait, adult in zip(portraits, truth.adult, strict=True) if adult]
    return Faces(ages, log_odds, truth, _ratios(adults)), missed


def _ratios(adults: Sequence[Portrait]) -> list[list[float]]:
    """Mean and spread of the face ratios of those who look straight ahead, and the spread of their index."""
    found = np.array([ratios(adult.landmarks) for adult in adults if adult.frontality >= FRONTAL]).reshape(-1, 7)
    if len(found) < 2:
        return []
    mean, spread = found.mean(axis=0), found.std(axis=0)
    index = np.mean(SIGNS * (found - mean) / spread, axis=1)
    return [mean.round(3).tolist(), spread.round(3).tolist(), [round(float(index.std()), 3)]]


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
            return None if mesh is None else portrait_of(0.0, rgb, mesh)
    return None


def band(name: str) -> tuple[float, float]:
    """First year of an age band, and the one after its last."""
    if name.endswith("+"):
        return float(name[:-1]), OLDEST
    low, _, high = name.partition("-")
    return float(low), float(high) + 1.0


def _age(model: str, raw: Floats, truth: Truth) -> dict[str, Any]:
    """As shipped where the constants were not fitted here, else held out."""
    ages, inside, width = np.zeros(len(raw)), np.zeros(len(raw)), np.zeros(len(raw))
    times = np.zeros(len(raw))
    for rest, fold in folds(len(raw)):
        fitted = fit_age(raw[rest], truth.of(rest))
        found = years(fitted, raw[fold])
        low, high = (offset + slope * found for offset, slope in (fitted.low, fitted.high))
        low, high = np.maximum(np.minimum(low, found), 0.0), np.maximum(high, found)
        spread = truth.of(fold).spread()
        ages[fold] += found
        inside[fold] += np.mean((spread >= low[:, None]) & (spread <= high[:, None]), axis=1)
        width[fold] += high - low
        times[fold] += 1
    ages, inside, width = ages / times, inside / times, width / times
    off, aside = truth.off_band(ages), np.abs(ages - truth.middle)
    adult, old = truth.adult, truth.low >= 60
    shipped = years(AGE[model], raw)
    fitted = fit_age(raw, truth)
    return {
        "adults": int(adult.sum()),
        "years off the band, uncalibrated": _mean(truth.off_band(raw)[adult]),
        "years off the band, held out": _mean(off[adult]),
        "years off the band, as shipped": _mean(truth.off_band(shipped)[adult]),
        "years off the band's middle, held out": _mean(aside[adult]),
        "the same for a constant": _mean(np.abs(BASELINE_YEARS - truth.middle)[adult]),
        "interval holds, adults": _mean(inside[adult], 3),
        "interval holds, minors": _mean(inside[~adult], 3),
        "interval holds, sixty and older": _mean(inside[old], 3),
        "interval width": _mean(width[adult], 1),
        "by band: off the band, estimate less middle, interval holds": {
            f"{low:g}": [_mean(off[own]), _mean((ages - truth.middle)[own], 1), _mean(inside[own])]
            for low in np.unique(truth.low)
            if (own := truth.low == low).any()
        },
        "adults by gender: off the band, estimate less middle": {
            name: [_mean(off[own]), _mean((ages - truth.middle)[own], 1)]
            for name, own in (("female", adult & ~truth.male), ("male", adult & truth.male))
        },
        "constants: curve, low, high": [
            [[knot, round(value, 1)] for knot, value in fitted.curve],
            [round(value, 3) for value in fitted.low],
            [round(value, 3) for value in fitted.high],
        ],
    }


def _gender(models: tuple[str, ...], faces: Faces) -> dict[str, Any]:
    adult = faces.truth.adult
    log_odds = np.stack([faces.log_odds[model] for model in models], axis=1)[adult]
    male, low = faces.truth.male[adult], faces.truth.low[adult]
    held, times = np.zeros(len(male)), np.zeros(len(male))
    for rest, fold in folds(len(male)):
        weights = fit_gender(log_odds[rest], male[rest])
        held[fold] += log_odds[fold] @ weights[:-1] + weights[-1]
        times[fold] += 1
    held /= times
    right = (held > 0) == male
    probability = 1 / (1 + np.exp(-np.abs(held)))
    told = probability >= LEAST_PROBABILITY
    return {
        "adults": len(male),
        "right, asked always": _mean(right, 3),
        "told": _mean(told, 3),
        "right where told": _mean(right[told], 3),
        "mean probability where told": _mean(probability[told], 3),
        "calibration: mean probability and share right, by fifths": _fifths(probability, right),
        "by gender: told, right where told": {
            name: [_mean(told[own]), _mean(right[own & told])] for name, own in (("female", ~male), ("male", male))
        },
        "by band: told, right where told": {
            f"{first:g}": [_mean(told[own]), _mean(right[own & told])]
            for first in np.unique(low)
            if (own := low == first).any()
        },
        "by band and gender: right where told": {
            f"{first:g} {name}": _mean(right[told & (low == first) & own])
            for first in np.unique(low)
            for name, own in (("female", ~male), ("male", male))
        },
        "constants: weights": [round(value, 3) for value in fit_gender(log_odds, male).tolist()],
    }


def _fifths(probability: Floats, right: NDArray[np.bool_]) -> list[list[float]]:
    return [[_mean(probability[part]), _mean(right[part])] for part in np.array_split(np.argsort(probability), 5)]


def _mean(values: NDArray[Any], digits: int = 2) -> float:
    return round(float(np.mean(values)), digits) if len(values) else float("nan")


if __name__ == "__main__":
    sys.exit(main())
