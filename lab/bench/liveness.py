"""`python -m lab.bench.liveness FACES`: error rates of the check on liveness, on seeds and people it was not fitted to.

ISO/IEC 30107-3: APCER is the part of an attack's clips that pass, BPCER the part of the living that fail; what is
undecided is told apart. With MiniFASNet's weights in the models' folder a second table tells of the check with them.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from lab.bench.report import Report
from lab.impostors import ATTACKS, Trial, people_of, trials
from shared.schemas import CheckStatus
from shared.settings import settings
from workers.liveness.liveness_check import LivenessThresholds, verdict

#: What each attack is.
WORDS = {
    "live": "a living person",
    "waved": "a print, waved",
    "bent": "a print, bent",
    "replayed": "a film on a screen",
    "shown": "a still on a screen",
    "still": "a photograph that fills the picture",
    "real": "a living person, real clips",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Film, judge, print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.liveness", description=__doc__)
    parser.add_argument("faces", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=98)
    parser.add_argument("--clips", type=Path, default=Path("bench-out/clips"))
    parser.add_argument("--real", type=Path, help="folder of real MP4 clips, each of one living person")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    summary = {}
    for report in liveness(options.count, options.clips, options.faces, settings().models_path, options.real):
        sys.stdout.write(report.markdown + "\n")
        summary[report.name] = report.summary
    sys.stdout.write(json.dumps(summary) + "\n")
    return 0


def liveness(
    count: int, clips: Path, faces: Path | None, models_dir: Path, real: Path | None = None
) -> Iterator[Report]:
    """The tables: with what installs by default, and with MiniFASNet where its weights are there."""
    found = trials(count, clips, faces, models_dir, report=True)
    found += people_of(real, models_dir) if real is not None else []
    limits = LivenessThresholds(settings().liveness_pass, settings().liveness_fail)
    alone = [replace(trial, cues=replace(trial.cues, texture=None)) for trial in found]
    yield table("vision-liveness", "Liveness with the default models", alone, limits)
    if all(trial.cues.texture is not None for trial in found):
        yield table("vision-liveness-fasnet", "Liveness with MiniFASNet", found, limits)


def table(name: str, title: str, found: Sequence[Trial], limits: LivenessThresholds) -> Report:
    """Verdicts by what was before the camera, and of the living by skin."""
    report = Report(name, title, ("before the camera", "clips", "pass", "fail", "unknown", "median P(live)", "highest"))
    checks = [verdict(trial.cues, limits) for trial in found]
    shares: dict[str, dict[CheckStatus, float]] = {}

    def add(words: str, chosen: Sequence[bool]) -> None:
        own = [check for check, mine in zip(checks, chosen, strict=True) if mine]
        if not own:
            return
        shares[words] = {
            status: round(sum(check.status is status for check in own) / len(own), 3)
            for status in (CheckStatus.PASS, CheckStatus.FAIL, CheckStatus.UNKNOWN)
        }
        scores = [check.score for check in own if check.score is not None]
        middle, highest = (float(np.median(scores)), max(scores)) if scores else ("", "")
        report.add(words, len(own), *shares[words].values(), middle, highest)

    for kind in ("live", *ATTACKS, "real"):
        add(WORDS[kind], [trial.kind == kind for trial in found])
    for first in (1, 3, 5):
        words = f"{WORDS['live']}, skin {'I-II' if first == 1 else 'III-IV' if first == 3 else 'V-VI'}"
        add(words, [trial.live and trial.skin_tone in {first, first + 1} for trial in found])
    attacks = {kind: shares[WORDS[kind]] for kind in ATTACKS if WORDS[kind] in shares}
    living = shares.get(WORDS["live"])
    report.summary = {
        "APCER": {kind: share[CheckStatus.PASS] for kind, share in attacks.items()},
        "attacks_undecided": {kind: share[CheckStatus.UNKNOWN] for kind, share in attacks.items()},
        "BPCER": living and living[CheckStatus.FAIL],
        "living_undecided": living and living[CheckStatus.UNKNOWN],
    }
    report.notes.append(f"Passes from P(live) {limits.passes:g} on, fails up to {limits.fails:g}.")
    report.notes.append(
        "APCER is an attack's `pass`, BPCER the living's `fail`; all clips but the real ones are simulated."
    )
    return report


if __name__ == "__main__":
    sys.exit(main())
