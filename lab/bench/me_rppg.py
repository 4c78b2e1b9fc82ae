"""Compare the weights and forms of ME-rPPG with the other estimators, each alone: `python -m lab.bench.me_rppg`.

Simulated clips of many conditions, and every clip of the given folders that has a `.truth.json` beside it.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from lab.arrays import Floats
from lab.data.vitals_clips import render
from lab.report import FOLDER, Report
from lab.simulate import ClipSpec
from workers.face.tracker import FaceTracker
from workers.media.clip import open_clip
from workers.models.build import write_atomically
from workers.models.manifest import MODELS
from workers.models.me_rppg_network import graph_of, stepwise_graph_of
from workers.models.session import Network, open_network
from workers.rppg.estimators import ESTIMATORS, Estimator, me_rppg, whole_face_wave
from workers.rppg.network_sessions import RppgModels
from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.spectrum import snr_db, spectrum_of
from workers.rppg.signals.traces import Traces, traces_of

#: Largest error in /min for which an estimate counts as right.
NEAR_PER_MIN: Final = 3.0
#: Frames of one call of the causal network.
CHUNK: Final = 16
#: Seconds that the causal network runs backwards before it begins.
WARM_UP_S: Final = 5.0
#: Largest lag of a wave behind the blood volume, seconds.
MAX_LAG_S: Final = 0.4
#: Conditions of the simulated clips; the last six have other faces, if there are any.
CONDITIONS: Final = (
    ClipSpec(heart_rate=72, motion=0),
    ClipSpec(heart_rate=55),
    ClipSpec(heart_rate=96, motion=2),
    ClipSpec(heart_rate=64, motion=3),
    ClipSpec(heart_rate=118, skin_tone=3),
    ClipSpec(heart_rate=70, light=0.4),
    ClipSpec(heart_rate=84, light=0.2),
    ClipSpec(heart_rate=61, skin_tone=6, motion=0),
    ClipSpec(heart_rate=78, skin_tone=5),
    ClipSpec(heart_rate=88, skin_tone=6, light=0.4),
    ClipSpec(heart_rate=67),
    ClipSpec(heart_rate=92, motion=2),
    ClipSpec(heart_rate=58, light=0.3),
    ClipSpec(heart_rate=104, skin_tone=4),
    ClipSpec(heart_rate=75, motion=3),
    ClipSpec(heart_rate=48),
)
_FACES: Final = 6


def specs(portraits: Path | None) -> list[ClipSpec]:
    """`CONDITIONS`, each with a seed of its own, and the last ones with faces of the folder `portraits`."""
    found = [replace(spec, seed=100 + index) for index, spec in enumerate(CONDITIONS)]
    faces = sorted(portraits.glob("*.jpg")) if portraits else []
    for index in range(min(_FACES, len(faces))):
        face = faces[(index + 1) * len(faces) // 9]
        found[index - _FACES] = replace(found[index - _FACES], portrait=face)
    return found


def causal(traces: Traces, network: Network) -> Floats:
    """Pulse wave (n,) of the causal form, which first runs the beginning backwards."""
    frames = me_rppg.inputs_of(traces.crops)
    warm_up = frames[: round(WARM_UP_S * traces.fs)][::-1]
    sequence = np.concatenate((warm_up, frames))
    state = np.zeros(int(network.shapes[-1][0]), np.float32)
    waves = []
    for start in range(0, len(sequence), CHUNK):
        part = sequence[start : start + CHUNK]
        wave, state = np.split(network(part, np.full(len(part), 1 / traces.fs, np.float32), state), [len(part)])
        waves.append(wave)
    return to_pulse_wave(np.concatenate(waves)[len(warm_up) :].astype(np.float64), traces.fs)


def weights_files() -> Iterator[tuple[str, Path]]:
    """The installed weights of ME-rPPG, by name; open-rppg has a second file, trained on PURE."""
    for entry in MODELS:
        path = entry.file_in(Path()) if entry.builder == "me_rppg_network" else None
        if path is not None:
            yield entry.name, path
            other = path.with_name(path.name.replace(".rlap.", ".pure."))
            if other != path and other.is_file():
                yield entry.name.replace("rlap", "pure"), other


def candidates(folder: Path) -> dict[str, Estimator]:
    """Every form of ME-rPPG with all weights, and the other estimators; networks are built into `folder`."""

    def windows(network: Network) -> Estimator:
        return lambda traces: me_rppg.estimate(traces, network)

    def steps(network: Network) -> Estimator:
        return lambda traces: causal(traces, network)

    forms: Mapping[str, tuple[Callable[[Path], bytes], Callable[[Network], Estimator]]] = {
        "windows": (graph_of, windows),
        "causal": (stepwise_graph_of, steps),
    }
    found: dict[str, Estimator] = {}
    for name, weights in weights_files():
        for form, (build, bind) in forms.items():
            path = folder / f"{name}-{form}.onnx"
            write_atomically(path, build(weights))
            found[f"{name}, {form}"] = bind(open_network(path, threads=1))
    others = frozenset(spec.name for spec in ESTIMATORS if spec.name != "me_rppg")
    return found | RppgModels.load(folder, threads=1, only=others).estimators


def clips(folders: list[Path], rendered: Path, simulated: list[ClipSpec]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Clips and their truths: those of the folders, then the simulated ones, which are kept in `rendered`."""
    for folder in folders:
        for truth in sorted(folder.glob("*.truth.json")):
            for path in sorted(folder.glob(truth.name.replace(".truth.json", ".[mw]*"))):
                yield path, json.loads(truth.read_text("utf-8"))
    for spec in simulated:
        clip = render(spec, rendered)
        yield clip.path, clip.truth


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.me_rppg", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*", help="folders of further clips")
    parser.add_argument("--simulated", type=int, default=len(CONDITIONS), help="number of simulated clips")
    parser.add_argument("--portraits", type=Path, help="folder of pictures of faces for the simulated clips")
    parser.add_argument("--clips", type=Path, default=FOLDER / "clips", help="folder that keeps rendered clips")
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="facevitals-bench-") as folder:
        estimators = candidates(Path(folder))
        measured: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in estimators}
        rates = Report("me-rppg-clips", "Heart rate of each clip, /min", ("clip", "truth", *estimators))
        for path, truth in clips(options.folders, options.clips, specs(options.portraits)[: options.simulated]):
            rate = truth.get("heart_rate", truth.get("heart_rate_per_min"))
            with open_clip(path) as clip:
                traces = traces_of(FaceTracker().track(clip.frames())).longest_seen()
            found = {name: _measure(estimate, traces, truth, rate) for name, estimate in estimators.items()}
            rates.add(path.name, rate or "none", *(round(rate_found, 1) for rate_found, *_ in found.values()))
            for name, (found_rate, *rest) in found.items():
                if rate is not None:
                    measured[name].append((found_rate - rate, *rest))
            sys.stdout.write(f"{path.name}\n")
    columns = ("estimator", "within 3 /min", "mae", "snr dB", "correlation", "ms of one core")
    with_pulse = len(next(iter(measured.values())))
    report = Report("me-rppg", f"Each estimator alone, clips with a known heart rate: {with_pulse}", columns)
    for name, rows in measured.items():
        error, snr, correlation, cost = np.array(rows).T
        near = int((np.abs(error) <= NEAR_PER_MIN).sum())
        waves = correlation[np.isfinite(correlation)]
        report.add(
            name,
            near,
            float(np.abs(error).mean()),
            float(snr.mean()),
            float(waves.mean()) if len(waves) else "",
            float(np.median(cost)),
        )
    report.notes.append("Correlation with the true blood volume of the simulated clips, at the best lag within 0.4 s.")
    for table in (report, rates):
        sys.stdout.write(table.markdown + "\n")
        table.write(options.out)
    return 0


def _measure(
    estimate: Estimator, traces: Traces, truth: Mapping[str, Any], rate: float | None
) -> tuple[float, float, float, float]:
    """Rate in /min, SNR in dB at the true one, correlation with the true wave, and processor time in ms."""
    begun = time.process_time()
    wave = whole_face_wave(estimate(traces))
    cost_ms = 1000 * (time.process_time() - begun)
    spectrum = spectrum_of(wave, traces.fs)
    snr = snr_db(spectrum, rate / 60) if rate is not None else float("nan")
    correlation = float("nan")
    if truth.get("bvp"):
        times_s, bvp = (np.asarray(truth[name], np.float64) for name in ("frame_times_s", "bvp"))
        blood = np.asarray(np.interp(traces.times_s, times_s, bvp))
        correlation = _correlation(wave, to_pulse_wave(blood, traces.fs), round(MAX_LAG_S * traces.fs))
    return 60 * spectrum.peak_hz(), snr, correlation, cost_ms


def _correlation(wave: Floats, blood: Floats, max_lag: int) -> float:
    """Correlation of two waves (n,), the largest over all lags up to `max_lag` samples."""
    inner = slice(max_lag, len(wave) - max_lag)
    return max(
        float(np.corrcoef(wave[inner], np.roll(blood, lag)[inner])[0, 1]) for lag in range(-max_lag, max_lag + 1)
    )


if __name__ == "__main__":
    sys.exit(main())
