"""`python -m lab.bench.liveness [FACES]`: the verdict on living people and on attacks, all simulated.

Each portrait (the package's own, and some of FACES) is filmed alive and attacked: a print waved, a print bent, a film
and a still on a screen. APCER is the part of an attack's clips that pass, BPCER the part of the living that fail, and
beside them what is left undecided (ISO/IEC 30107-3). MiniFASNet votes where its weights are installed.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from lab.simulate.film import simulate
from lab.simulate.spec import ClipSpec
from shared.schemas import CheckStatus
from shared.settings import settings
from workers.clip import open_clip
from workers.face import FaceTracker
from workers.vision.liveness import check_liveness
from workers.vision.models import VisionModels

ATTACKS: Final = ("waved", "bent", "replayed", "shown")


def main(arguments: Sequence[str] | None = None) -> int:
    """Film, judge, print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.liveness", description=__doc__)
    parser.add_argument("faces", type=Path, nargs="?")
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    pictures = sorted(options.faces.glob("*.jpg"))[:: max(1, 270 // options.people)] if options.faces else []
    people: list[Path | None] = [None, *pictures][: options.people]
    networks = VisionModels.load(settings().models_path).networks
    tracker = FaceTracker()
    verdicts: dict[str, list[tuple[CheckStatus, float | None]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, person in enumerate(people):
            rng = np.random.default_rng(number)
            for kind in ("live", *ATTACKS):
                path = Path(folder) / "clip.mp4"
                rate = float(rng.uniform(55, 95))
                spec = ClipSpec(
                    kind=kind, portrait=person, seed=number, heart_rate=rate, duration_s=options.seconds, fps=25.0
                )
                simulate(path, spec)
                with open_clip(path) as clip:
                    check = check_liveness(tracker.track(clip.frames()), networks)
                verdicts.setdefault(kind, []).append((check.status, check.score))
                sys.stderr.write(f"{kind} {number}: {check.status.value} {check.score}\n")
    tracker.close()
    report = summary(verdicts)
    for name, value in report.items():
        sys.stdout.write(f"{name}: {value}\n")
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


def summary(verdicts: dict[str, list[tuple[CheckStatus, float | None]]]) -> dict[str, Any]:
    """Rates by kind: of the living BPCER, of each attack APCER, and what is undecided."""
    report: dict[str, Any] = {}
    for kind, found in verdicts.items():
        counts = Counter(status for status, _ in found)
        wrong = counts[CheckStatus.FAIL if kind == "live" else CheckStatus.PASS]
        scores = [score for _, score in found if score is not None]
        report[kind] = {
            "clips": len(found),
            "BPCER" if kind == "live" else "APCER": round(wrong / len(found), 3),
            "undecided": round(counts[CheckStatus.UNKNOWN] / len(found), 3),
            "median P(live)": round(float(np.median(scores)), 3) if scores else None,
        }
    return report


if __name__ == "__main__":
    sys.exit(main())
