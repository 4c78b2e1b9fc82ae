"""Synthetic traces with a known pulse, without pictures, faces or encoders."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.face.tracker import REGIONS, FaceTrack
from workers.rppg.estimators import ESTIMATORS
from workers.rppg.network_sessions import RppgModels
from workers.rppg.signals.traces import Traces, traces_of

#: Skin under white light, linear RGB, and how strongly blood modulates each channel (Wang et al. 2017, section II-B).
SKIN = np.array([0.35, 0.20, 0.14])
PULSATILE = np.array([0.33, 0.77, 0.53])

MakeTrack = Callable[..., FaceTrack]
MakeTraces = Callable[..., Traces]


def pulse_at(times_s: NDArray[np.float64], rate_per_min: float) -> NDArray[np.float64]:
    """Blood volume (n,): a fundamental and a second harmonic, as in a photoplethysmogram."""
    phase = 2 * np.pi * times_s * rate_per_min / 60
    return np.asarray(np.sin(phase) + 0.35 * np.sin(2 * phase - 0.8))


def make_track(  # noqa: PLR0917  (each has a default and is given by name)
    rate_per_min: float = 72.0,
    duration_s: float = 15.0,
    fps: float = 30.0,
    strength: float = 0.01,
    noise: float = 0.002,
    flicker: float = 0.0,
    flicker_per_min: float = 90.0,
    jitter_s: float = 0.0,
    lost_s: tuple[float, float] | None = None,
    seed: int = 0,
    volume: NDArray[np.float64] | None = None,
) -> FaceTrack:
    """A still face whose skin pulsates by `strength`; noise is relative and independent between regions.

    `volume` (n,) of blood at each frame takes the place of a steady pulse of `rate_per_min`.
    """
    rng = np.random.default_rng(seed)
    n = round(duration_s * fps)
    times = np.arange(n) / fps
    times[1:] += rng.uniform(-jitter_s, jitter_s, n - 1)
    light = 1 + 0.01 * np.sin(2 * np.pi * 0.1 * times) + flicker * np.sin(2 * np.pi * times * flicker_per_min / 60)
    if volume is None:
        volume = pulse_at(times, rate_per_min)
    blood = 1 - strength * volume[:, None] * PULSATILE
    regions = np.empty((n, len(REGIONS), 3))
    for index in range(1, len(REGIONS)):
        regions[:, index] = SKIN * light[:, None] * blood * (1 + noise * rng.normal(size=(n, 3)))
    regions[:, 0] = regions[:, 1:].mean(axis=1)
    background = 0.4 * light[:, None] * (1 + noise * rng.normal(size=(n, 3)))
    mesh = rng.uniform(200, 400, size=(478, 2))
    mesh[234], mesh[454] = (200, 300), (400, 300)
    landmarks = mesh + rng.normal(scale=0.2, size=(n, 478, 2))
    skin = np.clip(255 * (regions[:, 0] ** (1 / 2.2)), 0, 255)
    crops = np.clip(skin[:, None, None] + rng.normal(scale=2, size=(n, 72, 72, 3)), 0, 255).astype(np.uint8)
    faces = np.ones(n, dtype=np.int8)
    if lost_s is not None:
        lost = (times >= lost_s[0]) & (times < lost_s[1])
        regions[lost], landmarks[lost], faces[lost] = np.nan, np.nan, 0
    return FaceTrack(
        times,
        landmarks.astype(np.float32),
        regions.astype(np.float32),
        background.astype(np.float32),
        crops,
        faces,
        (),
        {},
        (640, 480),
    )


@pytest.fixture(name="make_track")
def _make_track() -> MakeTrack:
    return make_track


@pytest.fixture(name="make_traces")
def _make_traces() -> MakeTraces:
    def make(**how: object) -> Traces:
        return traces_of(make_track(**how))  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> RppgModels:
    """Every installed estimator, with networks built into a temporary folder."""
    return RppgModels.load(tmp_path_factory.mktemp("models"), threads=1)


@pytest.fixture(scope="session")
def quick_models(tmp_path_factory: pytest.TempPathFactory) -> RppgModels:
    """The estimators without a network: a hundred times faster, and sufficient for synthetic traces."""
    signal = frozenset(spec.name for spec in ESTIMATORS if spec.default and not spec.neural)
    return RppgModels.load(tmp_path_factory.mktemp("models"), threads=1, only=signal)
