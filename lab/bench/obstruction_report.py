"""`python -m lab.bench.obstruction_report FACES`: shares of free and covered faces refused, by cover and skin.

Objects are drawn over portraits (`lab.simulate.occluders`) that the network was not trained on. A mesh is fitted to
each picture as in a clip's first frame, and the service's own check decides. A face to which no mesh can be fitted any
more is refused as well (`no_face`), and counted apart. The threshold is chosen on half of those portraits, and measured
on the other half.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.data.labelled_portraits import load_portraits
from lab.data.occluded_portraits import camera_noise, is_held_out
from lab.report import Report
from lab.simulate.occluders import draw
from workers.face.mesh import FaceFinder
from workers.face.obstruction_check import COVERED_FAIL, ObstructionDetector, region_weights
from workers.face.occlusion_input import POINTS, fit_affine, flatten
from workers.face.portraits import Portrait

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
#: Portraits of the FairFace sample with a real object in front of the face: hands, a cup, a blanket, heads.
#: Chosen by eye among all that were not trained on; all but the first four before their scores were known.
REALLY_COVERED: Final = frozenset(
    f"fairface_{number}.jpg"
    for number in (
        "0036", "0124", "0338", "0491", "0016", "0028", "0161", "0184", "0198", "0345", "0361", "0444", "0487", "0524",
    )
)  # fmt: skip
#: Hidden share of a region from which on it counts as covered.
COVERED: Final = 0.25
#: Share of the covered faces with a mesh that must be refused. The highest threshold that does so is chosen, in steps
#: of `STEP`.
MIN_REFUSED: Final = 0.9
STEP: Final = 0.05
#: Individual typology angle of the cheeks, in degrees, above which skin counts as light, and below which as dark.
LIGHT, DARK = 35.0, 5.0

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class HeldOutPortrait:
    """A portrait by its number and file, as `lab.data.labelled_portraits` reads them."""

    index: int
    file: str
    portrait: Portrait

    @property
    def chooses(self) -> bool:
        """Whether the portrait belongs to the half on which the threshold is chosen."""
        return self.index // 4 % 2 == 0


@dataclass(frozen=True)
class Pictures:
    """n drawn pictures.

    kind     what was drawn;  skin  light, medium or dark
    hidden   hidden share of the region that is hidden most;  seen  whether a mesh was found
    score    the network's output for the region that is covered most;  real  whether something real covers the face
    chooses  whether the threshold is chosen on the picture
    """

    kind: NDArray[np.str_]
    skin: NDArray[np.str_]
    hidden: NDArray[np.float64]
    seen: Flags
    score: NDArray[np.float64]
    real: Flags
    chooses: Flags

    @property
    def free(self) -> Flags:
        """Pictures in which nothing covers the face."""
        return np.isin(self.kind, list(FREE)) & ~self.real

    @property
    def covered(self) -> Flags:
        """Pictures in which a drawn object covers a region."""
        return (self.hidden >= COVERED) & ~self.real


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.obstruction_report", description=__doc__)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--most", type=int, default=1000, help="portraits to use at most")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    report = obstruction(options.faces, options.most)
    sys.stdout.write(report.markdown + "\n" + json.dumps(report.summary) + "\n")
    return 0


def obstruction(folder: Path, most: int = 1000) -> Report:
    """The table for the held-out portraits of a folder, at most `most` of them."""
    portraits, labels, _ = load_portraits(folder)
    people = [
        HeldOutPortrait(index, label["file"], portrait)
        for index, (portrait, label) in enumerate(zip(portraits, labels, strict=True))
        if is_held_out(index)
    ]
    return table(drawn(people[:most]))


def drawn(people: Sequence[HeldOutPortrait]) -> Pictures:
    """Draw every picture of every person, and measure it by mesh and network."""
    finder, meter = FaceFinder(), ObstructionDetector()
    rows: list[tuple[str, str, float, bool, float, bool, bool]] = []
    for person in people:
        skin, portrait = tone(person.portrait), person.portrait
        for kind, count in DRAWN.items():
            for number in range(count):
                rng = np.random.default_rng([person.index, number, sum(map(ord, kind))])
                rgb, hidden = portrait.rgb, 0.0
                if kind != "free":
                    covered = draw(kind, rgb, portrait.landmarks, rng)
                    rgb, hidden = covered.rgb, _hidden(covered.mask, portrait)
                rgb = camera_noise(rgb, rng) if number else rgb
                finder.reset()
                mesh = finder.mesh(np.ascontiguousarray(rgb))
                score = 1.0 if mesh is None else float(meter.covered_parts([flatten(rgb, mesh)]).max())
                real = person.file in REALLY_COVERED
                rows.append((kind, skin, hidden, mesh is not None, score, real, person.chooses))
    return Pictures(*(np.array(column) for column in zip(*rows, strict=True)))


def chosen_threshold(pictures: Pictures) -> float:
    """The highest threshold that refuses `MIN_REFUSED` of the covered faces in the choosing half."""
    own = pictures.score[pictures.chooses & pictures.covered & pictures.seen]
    steps = np.arange(1, round(1 / STEP)) * STEP
    enough = [float(step) for step in steps if len(own) and float((own >= step).mean()) >= MIN_REFUSED]
    return round(max(enough, default=STEP), 2)


def table(pictures: Pictures) -> Report:
    """The pictures that the shipped threshold refuses, in the half that it was not chosen on."""
    report = Report("vision-obstruction", "Obstruction: pictures refused", ("pictures", "count", "refused"))
    refused = pictures.score >= COVERED_FAIL
    free, covered = pictures.free & ~pictures.chooses, pictures.covered & ~pictures.chooses

    def add(name: str, own: Flags) -> float:
        share = float(refused[own].mean()) if own.any() else float("nan")
        report.add(name, int(own.sum()), f"{share:.1%}" if own.any() else "")
        return round(share, 3)

    free_refused = add("free faces", free & pictures.seen)
    by_skin = {
        skin: add(f"free faces, {skin} skin", free & pictures.seen & (pictures.skin == skin))
        for skin in ("light", "medium", "dark")
    }
    for kind in FREE:
        add(f"free faces, {kind}", free & pictures.seen & (pictures.kind == kind))
    covered_refused = add("covered faces, those without a mesh among them", covered)
    seen_refused = add("covered faces with a mesh", covered & pictures.seen)
    for skin in ("light", "medium", "dark"):
        add(f"covered faces, {skin} skin", covered & (pictures.skin == skin))
    kinds = [kind for kind in DRAWN if kind not in FREE]
    by_kind = {kind: add(f"covered by a {kind}", covered & (pictures.kind == kind)) for kind in kinds}
    for low, high in ((0.25, 0.5), (0.5, 0.75), (0.75, 1.01)):
        part = (pictures.hidden >= low) & (pictures.hidden < high)
        add(f"covered, {low:.0%} to {min(high, 1):.0%} of a region hidden", covered & part)
    real = add("really covered: portraits as they are", pictures.real & (pictures.kind == "free"))
    choice = chosen_threshold(pictures)
    report.summary = {
        "free_refused": free_refused,
        "free_refused_by_skin": by_skin,
        "covered_refused": covered_refused,
        "covered_with_a_mesh_refused": seen_refused,
        "worst_cover": min(by_kind.items(), key=lambda item: item[1]),
        "really_covered_refused": real,
        "threshold": COVERED_FAIL,
        "threshold_by_the_choosing_half": choice,
    }
    report.notes += [
        f"Threshold {COVERED_FAIL:g}; the other half of the portraits chooses {choice:g}: the highest at which "
        f"{MIN_REFUSED:.0%} of its covered faces with a mesh are refused.",
        "Really covered: portraits with hands, a cup, a blanket or another head before the face (chosen by eye, two "
        "pictures each, both halves). All other covers are drawn.",
    ]
    return report


def tone(portrait: Portrait) -> str:
    """Light, medium or dark skin by the cheeks' individual typology angle (Chardon et al. 1991); lamps affect it."""
    flat = flatten(portrait.rgb, portrait.landmarks)
    cheeks = np.concatenate([flat[30:40, 16:22].reshape(-1, 3), flat[30:40, 42:48].reshape(-1, 3)])
    lab = cv2.cvtColor((cheeks[None] / 255.0).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    lightness, _, yellow = np.median(lab, axis=0)
    angle = float(np.degrees(np.arctan2(lightness - 50.0, max(float(yellow), 1.0))))
    return "light" if angle > LIGHT else "dark" if angle < DARK else "medium"


def _hidden(mask: NDArray[np.float32], portrait: Portrait) -> float:
    """Hidden share of the region of the face that is hidden most, by `mask` (h, w)."""
    flat = fit_affine(portrait.landmarks[POINTS].astype(np.float64))
    laid = np.asarray(cv2.warpAffine(mask, flat, (64, 64), flags=cv2.INTER_AREA))
    places = np.asarray(cv2.resize(laid, (16, 16), interpolation=cv2.INTER_AREA)).ravel()
    return float((region_weights() @ places).max())


if __name__ == "__main__":
    sys.exit(main())
