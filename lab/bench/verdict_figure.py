"""`python -m lab.bench.verdict_figure CLIP`: draw what is seen in a clip at each rate, and the verdict on it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from workers.face.tracker import FaceTracker
from workers.media.clip import open_clip
from workers.rppg.fusion.evidence import CURVES, RATES_PER_MIN
from workers.rppg.fusion.pulse import estimate_pulse
from workers.rppg.pipeline import seen_traces
from workers.rppg.signals.traces import Traces


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the figure; exit 1 if no face is seen for long enough."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    parser = argparse.ArgumentParser(prog="python -m lab.bench.verdict_figure", description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--out", type=Path, default=Path("verdict.png"))
    options = parser.parse_args(arguments)
    with open_clip(options.clip) as clip:
        traces = seen_traces(FaceTracker().track(clip.frames()))
    if not isinstance(traces, Traces):
        sys.stderr.write(f"{traces[1]}\n")
        return 1
    pulse = estimate_pulse(traces)
    figure, rows = plt.subplots(3, 1, figsize=(8, 7.5), sharex=True, constrained_layout=True)
    for name in CURVES[:-2]:
        rows[0].plot(RATES_PER_MIN, pulse.evidence.curve(name), label=name)
    rows[0].set(ylabel="log of power\nover its mean")
    rows[0].legend(ncols=2, fontsize=8)
    rows[1].plot(RATES_PER_MIN, pulse.evidence.lit, label="clothes or background over skin")
    rows[1].plot(RATES_PER_MIN, pulse.evidence.beside_skin.clip(-0.5, 1.5), label="beside the skin over skin")
    rows[1].set(ylabel="share", ylim=(-0.5, 1.6))
    rows[1].legend(fontsize=8)
    rows[2].plot(RATES_PER_MIN, pulse.verdict.rates, color="tab:red")
    rows[2].set(ylabel="probability", xlabel="rate, /min")
    rows[2].set_title(
        f"{pulse.verdict.rate_per_min:.1f} /min, right with {pulse.verdict.probability:.0%}; "
        f"belief in no pulse {pulse.verdict.no_pulse:.1%}",
        fontsize=10,
    )
    figure.savefig(options.out, dpi=110)
    plt.close(figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
