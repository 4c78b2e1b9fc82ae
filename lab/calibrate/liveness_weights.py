"""`python -m lab.calibrate.liveness_weights FACES`: fit the liveness check's weights to simulated clips.

Renders the clips of the training seeds (it continues where it stopped), reads their cues, and fits a logistic
regression with and without MiniFASNet's texture; the living and all attacks together have the same weight. No weight is
negative: a cue never counts against what it is evidence for. With `--write`, renews `workers/liveness/liveness.json`.
`python -m lab.bench.liveness_report` measures error rates on other seeds and other people.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from lab.arrays import Floats
from lab.data.liveness_clips import LivenessClip, simulated_clips
from shared.settings import settings
from workers.liveness.cues import Cues
from workers.liveness.liveness_check import ONE_SIDED, LivenessFusion, features

#: Features of the fusion without texture; with it, texture is one more.
WITHOUT_TEXTURE: Final = ("pulse", "blinks", "surroundings", *ONE_SIDED)
#: Largest vote of each cue, log-odds: simulated clips overstate what is certain. A replayed film has pulse and blinks;
#: some people blink once a minute; doors have edges. The texture was learnt from real attacks, and no living face
#: changes by less than noise for many seconds.
MAX_LOG_ODDS: Final = {
    "pulse": 1.5,
    "blinks": 1.0,
    "surroundings": 2.5,
    "stillness": 4.0,
    "band": 2.5,
    "edges": 2.0,
    "texture": 4.0,
}
#: Cues whose 0 is evidence: their neutral value is halfway between people and pictures. That of the others is 0.
COUNTED: Final = ("blinks",)
_RIDGE: Final = 0.003


def main(arguments: Sequence[str] | None = None) -> int:
    """Render, read, fit; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m lab.calibrate.liveness_weights", description=__doc__)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--count", type=int, default=98)
    parser.add_argument("--clips", type=Path, default=Path("bench-out/clips"))
    parser.add_argument("--write", action="store_true", help="renew workers/liveness/liveness.json")
    options = parser.parse_args(arguments)
    found = simulated_clips(options.count, options.clips, options.faces, settings().models_path, report=False)
    document: dict[str, Any] = {
        "made_by": {"command": "python -m lab.calibrate.liveness_weights FACES --write", "clips": len(found)},
        "alone": asdict(fit(found, WITHOUT_TEXTURE)),
    }
    if all(clip.cues.texture is not None for clip in found):
        document["with_texture"] = asdict(fit(found, (*WITHOUT_TEXTURE, "texture")))
    if options.write:
        path = Path(str(files("workers.liveness") / "liveness.json"))
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **document}, indent=1) + "\n", "utf-8")
    sys.stdout.write(json.dumps(document) + "\n")
    return 0


def fit(found: Sequence[LivenessClip], names: tuple[str, ...]) -> LivenessFusion:
    """The fusion of the named features that best separates living clips from attacks."""
    live = np.array([clip.live for clip in found])
    known = [features(_without_texture(clip.cues, names)) for clip in found]
    weight = np.where(live, 0.5 / max(int(live.sum()), 1), 0.5 / max(int((~live).sum()), 1))
    neutral, scale, columns = {}, {}, []
    for name in names:
        seen = np.array([name in one for one in known])
        values = np.array([one.get(name, 0.0) for one in known])
        sides = [values[seen & kind].mean() for kind in (live, ~live) if (seen & kind).any()]
        middle = np.mean(sides) if sides and name in COUNTED else 0.0
        neutral[name], scale[name] = float(middle), max(float(values[seen].std()), 1e-6) if seen.any() else 1.0
        columns.append(np.where(seen, values - middle, 0.0) / scale[name])
    weights = _regression(np.column_stack([*columns, np.ones(len(found))]), live, weight)
    return LivenessFusion(
        intercept=round(float(weights[-1]), 4),
        weights={name: round(float(value) / scale[name], 4) for name, value in zip(names, weights, strict=False)},
        neutral={name: round(value, 4) for name, value in neutral.items()},
        bounds={name: MAX_LOG_ODDS[name] for name in names},
    )


def _without_texture(cues: Cues, names: tuple[str, ...]) -> Cues:
    return cues if "texture" in names else Cues(**{**asdict(cues), "texture": None})


def _regression(design: Floats, positive: NDArray[np.bool_], weight: Floats) -> Floats:
    """Ridge logistic regression; no weight is negative but the last column's, the constant's."""
    sign = np.where(positive, 1.0, -1.0)

    def loss(values: Floats) -> tuple[float, Floats]:
        margin = sign * (design @ values)
        slope = design.T @ (weight * -sign / (1 + np.exp(margin)))
        slope[:-1] += 2 * _RIDGE * values[:-1]
        return float(weight @ np.logaddexp(0.0, -margin) + _RIDGE * (values[:-1] ** 2).sum()), slope

    bounds = [(0.0, None)] * (design.shape[1] - 1) + [(None, None)]
    return np.asarray(minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x)


if __name__ == "__main__":
    sys.exit(main())
