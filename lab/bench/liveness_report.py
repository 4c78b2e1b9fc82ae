"""`python -m lab.bench.liveness_report FACES`: error rates of the liveness check on clips that it was not fitted to.

ISO/IEC 30107-3: APCER is the share of an attack's clips that pass, BPCER the share of living clips that fail; undecided
clips are counted apart. Where MiniFASNet's weights are in the models' folder, a second table measures the check with
them.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from lab.data.liveness_clips import ATTACKS, LivenessClip, real_clips, simulated_clips
from lab.report import Report
from shared.schemas import CheckStatus
from shared.settings import settings
from workers.liveness.liveness_check import LivenessThresholds, verdict

#: Description of each kind of clip.
DESCRIPTIONS = {
    "live": "a living person",
    "waved": "a print, waved",
    "bent": "a print, bent",
    "replayed": "a film on a screen",
    "shown": "a still on a screen",
    "still": "a photograph that fills the picture",
    "real": "a living person, real clips",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Render, judge, print; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.liveness_report", description=__doc__)
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
    """The tables: with the models that install by default, and with MiniFASNet where its weights are installed."""
    found = simulated_clips(count, clips, faces, models_dir, report=True)
    found += real_clips(real, models_dir) if real is not None else []
    limits = LivenessThresholds(settings().liveness_pass, settings().liveness_fail)
    alone = [replace(clip, cues=replace(clip.cues, texture=None)) for clip in found]
    yield table("vision-liveness", "Liveness with the default models", alone, limits)
    if all(clip.cues.texture is not None for clip in found):
        yield table("vision-liveness-fasnet", "Liveness with MiniFASNet", found, limits)


def table(name: str, title: str, found: Sequence[LivenessClip], limits: LivenessThresholds) -> Report:
    """Verdicts by what is before the camera, and of living clips by skin tone."""
    report = Report(name, title, ("before the camera", "clips", "pass", "fail", "unknown", "median P(live)", "highest"))
    checks = [verdict(clip.cues, limits) for clip in found]
    shares: dict[str, dict[CheckStatus, float]] = {}

    def add(description: str, chosen: Sequence[bool]) -> None:
        own = [check for check, mine in zip(checks, chosen, strict=True) if mine]
        if not own:
            return
        shares[description] = {
            status: round(sum(check.status is status for check in own) / len(own), 3)
            for status in (CheckStatus.PASS, CheckStatus.FAIL, CheckStatus.UNKNOWN)
        }
        scores = [check.score for check in own if check.score is not None]
        middle, highest = (float(np.median(scores)), max(scores)) if scores else ("", "")
        report.add(description, len(own), *shares[description].values(), middle, highest)

    for kind in ("live", *ATTACKS, "real"):
        add(DESCRIPTIONS[kind], [clip.kind == kind for clip in found])
    for first in (1, 3, 5):
        description = f"{DESCRIPTIONS['live']}, skin {'I-II' if first == 1 else 'III-IV' if first == 3 else 'V-VI'}"
        add(description, [clip.live and clip.skin_tone in {first, first + 1} for clip in found])
    attacks = {kind: shares[DESCRIPTIONS[kind]] for kind in ATTACKS if DESCRIPTIONS[kind] in shares}
    living = shares.get(DESCRIPTIONS["live"])
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
