"""`python -m lab.bench.vision FACES`: age and gender on labelled portraits, and the constants that follow from them.

FACES holds pictures and `labels.json`: a list of {"file", "age_band" ("20-29", "70+"), "gender"}. Pictures take the
service's own way: mesh, portrait, models. The interval of `workers.vision.age` and the temperature of
`workers.vision.gender` are fitted to them; figures marked "held out" come from five-fold cross-validation.
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
from scipy.optimize import linprog, minimize_scalar

from workers.mesh import FaceFinder
from workers.portraits import Portrait, portrait_of
from workers.vision.age import INTERVAL_LEVEL
from workers.vision.gender import LEAST_PROBABILITY
from workers.vision.models import VisionModels

Floats = NDArray[np.float64]

ADULT: Final = 20.0
#: Where the open band "70+" is taken to end.
OLDEST: Final = 85.0
_FOLDS: Final = 5
# A picture's true age lies anywhere in its band: it counts as so many people, evenly spread over the band.
_SPREAD: Final = 8
# Faces that fill their picture are found once there is something around them.
_BORDER: Final = 60


@dataclass(frozen=True)
class Faces:
    """Answers for n pictures: `ages` in years, `log_odds` of male, and the truth: band from `low` to `high`, `male`."""

    ages: Floats
    log_odds: Floats
    low: Floats
    high: Floats
    male: NDArray[np.bool_]

    def of(self, chosen: NDArray[Any]) -> "Faces":
        """Some of the pictures."""
        return Faces(*(column[chosen] for column in (self.ages, self.log_odds, self.low, self.high, self.male)))

    @property
    def adult(self) -> NDArray[np.bool_]:
        """Which show somebody of twenty or older."""
        return np.asarray(self.low >= ADULT)

    def off_band(self, ages: Floats) -> Floats:
        """Years from `ages` to the band; none at the open end of the last band."""
        high = np.where(self.high >= OLDEST, np.inf, self.high)
        return np.maximum(np.maximum(self.low - ages, ages - high), 0.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print figures and constants; the last line is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.vision", description=__doc__)
    parser.add_argument("faces", type=Path)
    options = parser.parse_args(arguments)
    faces, missed = answers(options.faces)
    report = {"pictures": len(faces.ages), "no mesh": missed, **_age(faces), **_gender(faces)}
    for name, value in report.items():
        sys.stdout.write(f"{name}: {value}\n")
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


def answers(folder: Path) -> tuple[Faces, int]:
    """What the models say of every picture in which a face is found, and how many there are without."""
    labels: list[dict[str, str]] = json.loads((folder / "labels.json").read_text("utf-8"))
    finder = FaceFinder()
    portraits: list[Portrait] = []
    truth: list[tuple[float, float, bool]] = []
    for label in labels:
        portrait = _portrait(finder, folder / label["file"])
        if portrait is not None:
            portraits.append(portrait)
            truth.append((*_band(label["age_band"]), label["gender"] == "male"))
    with tempfile.TemporaryDirectory() as models_dir:
        models = VisionModels.load(Path(models_dir))
    if models.age is None or models.gender is None:
        raise SystemExit("; ".join(models.left_out.values()))
    low, high, male = (np.array(column) for column in zip(*truth, strict=True))
    ages, log_odds = (np.asarray(model(portraits), np.float64) for model in (models.age, models.gender))
    return Faces(ages, log_odds, low, high, male), len(labels) - len(portraits)


def _portrait(finder: FaceFinder, path: Path) -> Portrait | None:
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


def _band(name: str) -> tuple[float, float]:
    if name.endswith("+"):
        return float(name[:-1]), OLDEST
    low, _, high = name.partition("-")
    return float(low), float(high) + 1.0


def _age(faces: Faces) -> dict[str, Any]:
    adults = faces.of(faces.adult)
    middle = (adults.low + adults.high) / 2
    constant = np.full(len(middle), float(np.median(middle)))
    low, high = fit_interval(faces)
    held = np.zeros(len(faces.ages))
    width = np.zeros(len(faces.ages))
    for rest, fold in _folds(len(faces.ages)):
        held[fold], width[fold] = _held(faces.of(fold), *fit_interval(faces.of(rest)))
    by_band = {f"{low_:g}": round(float(held[faces.low == low_].mean()), 2) for low_ in np.unique(faces.low)}
    return {
        "adults": len(adults.ages),
        "age: years off the band, adults": round(float(adults.off_band(adults.ages).mean()), 2),
        "age: years off the band's middle, adults": round(float(np.abs(adults.ages - middle).mean()), 2),
        "age: the same for a constant": [constant[0], round(float(np.abs(constant - middle).mean()), 2)],
        "age: interval, low": [round(value, 3) for value in low],
        "age: interval, high": [round(value, 3) for value in high],
        "age: interval holds, held out, adults": round(float(held[faces.adult].mean()), 3),
        "age: interval holds, held out, minors": round(float(held[~faces.adult].mean()), 3),
        "age: interval holds, held out, by band": by_band,
        "age: interval width, held out": round(float(width.mean()), 1),
    }


def fit_interval(faces: Faces) -> tuple[tuple[float, float], tuple[float, float]]:
    """Offset and slope over the estimate of the true age's 5 % and 95 % quantiles.

    Koenker, Bassett 1978, Econometrica 46(1):33.
    """
    tail = (1 - INTERVAL_LEVEL) / 2
    ages, truth = _people(faces)
    return _quantile(ages, truth, tail), _quantile(ages, truth, 1 - tail)


def _people(faces: Faces) -> tuple[Floats, Floats]:
    parts = (np.arange(_SPREAD) + 0.5) / _SPREAD
    truth = faces.low[:, None] + (faces.high - faces.low)[:, None] * parts
    return np.repeat(faces.ages, _SPREAD), truth.ravel()


def _held(faces: Faces, low: tuple[float, float], high: tuple[float, float]) -> tuple[Floats, Floats]:
    ages, truth = _people(faces)
    inside = (truth >= low[0] + low[1] * ages) & (truth <= high[0] + high[1] * ages)
    width = high[0] - low[0] + (high[1] - low[1]) * faces.ages
    return inside.reshape(-1, _SPREAD).mean(axis=1), width


def _quantile(x: Floats, y: Floats, share: float) -> tuple[float, float]:
    n = len(x)
    design = np.column_stack([np.ones(n), x])
    cost = np.concatenate([np.zeros(4), np.full(n, share), np.full(n, 1 - share)])
    constraints = np.hstack([design, -design, np.eye(n), -np.eye(n)])
    answer = linprog(cost, A_eq=constraints, b_eq=y, bounds=(0, None), method="highs").x
    return float(answer[0] - answer[2]), float(answer[1] - answer[3])


def _gender(faces: Faces) -> dict[str, Any]:
    adults = faces.of(faces.adult)
    right = (adults.log_odds > 0) == adults.male
    probability = np.zeros(len(right))
    for rest, fold in _folds(len(right)):
        probability[fold] = _certainty(adults.of(fold), fit_temperature(adults.of(rest)))
    told = probability >= LEAST_PROBABILITY
    return {
        "gender: right, adults": round(float(right.mean()), 3),
        "gender: right, women": round(float(right[~adults.male].mean()), 3),
        "gender: right, men": round(float(right[adults.male].mean()), 3),
        "gender: temperature": round(fit_temperature(adults), 2),
        f"gender: told at {LEAST_PROBABILITY}, held out": round(float(told.mean()), 3),
        "gender: right where told, held out": round(float(right[told].mean()), 3),
        "gender: mean probability where told, held out": round(float(probability[told].mean()), 3),
    }


def fit_temperature(faces: Faces) -> float:
    """The divisor of the log-odds that makes them likeliest. Guo et al. 2017, arXiv:1706.04599."""
    signed = np.where(faces.male, faces.log_odds, -faces.log_odds)
    return float(minimize_scalar(lambda t: np.log1p(np.exp(-signed / t)).mean(), bounds=(0.3, 10), method="bounded").x)


def _certainty(faces: Faces, temperature: float) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.abs(faces.log_odds) / temperature)))


def _folds(count: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    order = np.random.default_rng(0).permutation(count)
    return [(np.setdiff1d(order, order[fold::_FOLDS]), order[fold::_FOLDS]) for fold in range(_FOLDS)]


if __name__ == "__main__":
    sys.exit(main())
