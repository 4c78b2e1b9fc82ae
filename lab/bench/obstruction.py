"""`python -m lab.bench.obstruction FACES`: free faces refused, and covered ones, by what covers them and by skin.

Things are drawn over portraits (`lab.simulate.occluders`) that the network was not trained on; a mesh is looked for on
each picture as in a clip's first frame, and the service's own check decides. A face that the mesh no longer finds is
refused as well (`no_face`), and counted apart.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.bench.vision import portraits_of
from lab.simulate.occluders import draw
from lab.train.obstruction import filmed, held_out
from workers.covering import POINTS, flatten, onto
from workers.mesh import FaceFinder
from workers.obstruction import COVERED_FAIL, CoverMeter, region_weights
from workers.portraits import Portrait

#: Pictures of each kind that are made of a portrait.
DRAWN: Final = {
    "free": 2,
    "glasses": 2,
    "beard": 1,
    "darker": 1,
    "hand": 3,
    "mask": 2,
    "phone": 2,
    "scarf": 2,
    "hair": 2,
}
FREE: Final = ("free", "glasses", "beard", "darker")
#: A region of which this much is hidden counts as covered.
COVERED: Final = 0.25
#: Individual typology angle of the cheeks, in degrees, above which skin counts as light, and below which as dark.
LIGHT, DARK = 35.0, 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the last line is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.obstruction", description=__doc__)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--most", type=int, default=1000, help="portraits to use at most")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    portraits, _, _ = portraits_of(options.faces)
    people = [(index, portrait) for index, portrait in enumerate(portraits) if held_out(index)][: options.most]
    report = measured(people)
    for name, value in report.items():
        sys.stdout.write(f"{name}: {value}\n")
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


def measured(people: Sequence[tuple[int, Portrait]]) -> dict[str, Any]:
    """The table: shares of pictures refused."""
    finder, meter = FaceFinder(), CoverMeter()
    rows: list[tuple[str, str, float, bool, float]] = []
    for index, portrait in people:
        skin = tone(portrait)
        for kind, count in DRAWN.items():
            for number in range(count):
                rng = np.random.default_rng([index, number, sum(map(ord, kind))])
                rgb, hidden = portrait.rgb, 0.0
                if kind != "free":
                    covered = draw(kind, rgb, portrait.landmarks, rng)
                    rgb, hidden = covered.rgb, _hidden(covered.mask, portrait)
                rgb = filmed(rgb, rng) if number else rgb
                finder.reset()
                mesh = finder.mesh(np.ascontiguousarray(rgb))
                score = 1.0 if mesh is None else float(meter.covered([flatten(rgb, mesh)]).max())
                rows.append((kind, skin, hidden, mesh is not None, score))
    finder.close()
    kinds, skins, part, seen, scores = (np.array(column) for column in zip(*rows, strict=True))
    refused = scores >= COVERED_FAIL
    free, covered_ = np.isin(kinds, list(FREE)), part >= COVERED

    def share(chosen: NDArray[np.bool_]) -> list[float]:
        return [round(float(refused[chosen].mean()), 3) if chosen.any() else float("nan"), int(chosen.sum())]

    return {
        "portraits": len(people),
        "free, seen: refused, pictures": share(free & seen),
        "free: not seen": round(float((~seen[free]).mean()), 3),
        "covered: refused, pictures": share(covered_),
        "covered and seen: refused, pictures": share(covered_ & seen),
        "free by kind": {kind: share((kinds == kind) & seen) for kind in FREE},
        "covered by kind": {kind: share((kinds == kind) & covered_) for kind in DRAWN if kind not in FREE},
        "covered by part hidden": {
            f"{low:g}-{high:g}": share(covered_ & (part >= low) & (part < high))
            for low, high in ((0.25, 0.5), (0.5, 0.75), (0.75, 1.01))
        },
        "free by skin": {skin: share((skins == skin) & free & seen) for skin in ("light", "medium", "dark")},
        "covered by skin": {skin: share((skins == skin) & covered_) for skin in ("light", "medium", "dark")},
        "score of free faces, 95th 97th 98th percentile": np.quantile(scores[free & seen], [0.95, 0.97, 0.98])
        .round(3)
        .tolist(),
    }


def tone(portrait: Portrait) -> str:
    """Light, medium or dark skin by the cheeks' individual typology angle (Chardon et al. 1991); lamps mislead it."""
    flat = flatten(portrait.rgb, portrait.landmarks)
    cheeks = np.concatenate([flat[30:40, 16:22].reshape(-1, 3), flat[30:40, 42:48].reshape(-1, 3)])
    lab = cv2.cvtColor((cheeks[None] / 255.0).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    lightness, _, yellow = np.median(lab, axis=0)
    angle = float(np.degrees(np.arctan2(lightness - 50.0, max(float(yellow), 1.0))))
    return "light" if angle > LIGHT else "dark" if angle < DARK else "medium"


def _hidden(mask: NDArray[np.float32], portrait: Portrait) -> float:
    """How much of the region that is hidden most is."""
    flat = onto(portrait.landmarks[POINTS].astype(np.float64))
    laid = np.asarray(cv2.warpAffine(mask, flat, (64, 64), flags=cv2.INTER_AREA))
    places = np.asarray(cv2.resize(laid, (16, 16), interpolation=cv2.INTER_AREA)).ravel()
    return float((region_weights() @ places).max())


if __name__ == "__main__":
    sys.exit(main())
