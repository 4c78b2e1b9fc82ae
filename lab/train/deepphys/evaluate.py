"""`facevitals train test`: errors of estimators against the pulse that was recorded beside the clips."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from lab.arrays import Floats
from lab.data.prepared import Prepared
from lab.report import Report
from workers.models.checkpoint import CheckpointUnreadable
from workers.models.deepphys_network import graph_of
from workers.models.session import open_network
from workers.rppg.estimators import ESTIMATORS, Estimator, whole_face_wave
from workers.rppg.network_sessions import RppgModels
from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.spectrum import snr_db, spectrum_of


@dataclass(frozen=True)
class Evaluation:
    """One estimator in one window of the recording `name`.

    rate_per_min, true_per_min  estimated and recorded heart rate
    snr_db                      SNR at the recorded rate and its second harmonic
    macc                        see `macc`
    """

    estimator: str
    name: str
    rate_per_min: float
    true_per_min: float
    snr_db: float
    macc: float


def estimators_of(
    names: Iterable[str], network: Path | None, models_dir: Path, threads: int = 1
) -> dict[str, Estimator]:
    """DeepPhys from the file `network` (.pth or .onnx; None: the installed one), and other estimators by name.

    Raises:
        ValueError: the file is not a DeepPhys, or a name is unknown or not installed.
    """
    wanted = frozenset(names) | ({"deepphys"} if network is None else frozenset())
    models = RppgModels.load(models_dir, threads, only=wanted)
    missing = {name: reason for name, reason in models.left_out.items() if name in wanted}
    if missing:
        raise ValueError("; ".join(missing.values()))
    if network is None:
        return models.estimators
    spec = next(spec for spec in ESTIMATORS if spec.name == "deepphys")
    with TemporaryDirectory(prefix="facevitals-network-") as folder:
        path = network
        if network.suffix != ".onnx":
            path = Path(folder) / "deepphys.onnx"
            try:
                path.write_bytes(graph_of(network))
            except CheckpointUnreadable as error:
                raise ValueError(str(error)) from error
        own = spec.bind(open_network(path, threads))
    return {**models.estimators, "deepphys": own}


def evaluate(
    name: str, recording: Prepared, estimators: Mapping[str, Estimator], window_s: float | None = None
) -> Iterable[Evaluation]:
    """Every estimator on a recording, or on each of its windows of `window_s` seconds."""
    n = len(recording.bvp)
    length = n if window_s is None else min(n, round(window_s * recording.traces.fs))
    for start in range(0, n - length + 1, length):
        traces = recording.traces.part(start, start + length)
        true = to_pulse_wave(recording.bvp[start : start + length], traces.fs)
        true_hz = spectrum_of(true, traces.fs).peak_hz()
        for estimator, estimate in estimators.items():
            wave = whole_face_wave(estimate(traces))
            spectrum = spectrum_of(wave, traces.fs)
            yield Evaluation(
                estimator, name, 60 * spectrum.peak_hz(), 60 * true_hz, snr_db(spectrum, true_hz), macc(wave, true)
            )


def macc(wave: Floats, true: Floats) -> float:
    """Maximum amplitude of the cross-correlation of two standardised waves (n,) over all circular lags, in [0, 1].

    Cho, Julier, Bianchi-Berthouze 2019, "Instant stress: detection of perceived mental stress through smartphone
    photoplethysmography and thermal imaging", JMIR Mental Health 6(4); as rPPG-Toolbox computes it.
    """
    together = np.fft.irfft(np.fft.rfft(wave) * np.conj(np.fft.rfft(true)), len(wave)) / len(wave)
    return float(np.abs(together).max())


def report_of(found: Sequence[Evaluation]) -> Report:
    """MAE, RMSE, MAPE and Pearson's r of the rates, SNR and MACC, by estimator."""
    columns = ("estimator", "windows", "MAE /min", "RMSE /min", "MAPE %", "Pearson r", "SNR dB", "MACC")
    report = Report("train-test", "Estimators against the recorded pulse", columns)
    for estimator in dict.fromkeys(each.estimator for each in found):
        own = [each for each in found if each.estimator == estimator]
        rate, true = (np.array([getattr(each, name) for each in own]) for name in ("rate_per_min", "true_per_min"))
        error = rate - true
        varied = len(own) > 2 and min(float(rate.std()), float(true.std())) > 1e-9
        row = {
            "mae": float(np.abs(error).mean()),
            "rmse": float(np.sqrt((error**2).mean())),
            "mape": float(100 * (np.abs(error) / true).mean()),
            "pearson": float(np.corrcoef(rate, true)[0, 1]) if varied else None,
            "snr_db": float(np.mean([each.snr_db for each in own])),
            "macc": float(np.mean([each.macc for each in own])),
        }
        report.add(estimator, len(own), *("" if value is None else value for value in row.values()))
        report.summary[estimator] = {name: None if v is None else round(v, 3) for name, v in row.items()}
    report.notes.append("No window is refused; the service abstains where estimators leave a doubt.")
    return report


def bland_altman(found: Sequence[Evaluation], path: Path) -> Path:
    """Plot the difference of estimated and recorded rate against their mean, one panel for each estimator.

    With bias and limits of agreement. Bland, Altman 1986, "Statistical methods for assessing agreement between two
    methods of clinical measurement", Lancet 327(8476):307.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(each.estimator for each in found))
    figure, panels = plt.subplots(
        1, len(names), figsize=(4.2 * len(names), 4), sharey=True, squeeze=False, constrained_layout=True
    )
    for panel, name in zip(panels[0], names, strict=True):
        rate, true = np.array([(each.rate_per_min, each.true_per_min) for each in found if each.estimator == name]).T
        error = rate - true
        bias, spread = float(error.mean()), 1.96 * float(error.std(ddof=1)) if len(error) > 1 else 0.0
        panel.plot((rate + true) / 2, error, ".", color="tab:red")
        for level, style in ((bias, "-"), (bias - spread, "--"), (bias + spread, "--")):
            panel.axhline(level, color="0.4", linewidth=1, linestyle=style)
        panel.set(title=f"{name}: {bias:+.1f} ± {spread:.1f} /min", xlabel="mean of both, /min")
    panels[0][0].set_ylabel("estimated minus recorded, /min")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path
