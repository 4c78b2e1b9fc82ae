"""A series of rendered clips on disk: the same seed gives the same series, and nothing is rendered twice."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.data.fingerprint import fingerprint
from lab.simulate.cutout import NoFaceInPortrait
from lab.train.deepphys import faces, rendered_crops
from shared.observability.logging import silence_native_stderr
from workers.rppg.signals.filters import detrend
from workers.rppg.signals.traces import GRID_HZ

Floats = NDArray[np.float64]

#: Share of drawn faces, and of pulses that were recorded by contact where some are given.
_DRAWN: Final = 0.15
_RECORDED: Final = 0.35
#: Of so many portraits one is seen in validation alone.
_KEPT_OUT: Final = 12
#: No portrait: a drawn face.
_NOBODY: Final = "nobody"
#: Sampling rate of the contact waves, Hz (BIDMC, Pimentel et al. 2017).
_WAVES_HZ: Final = 125


@dataclass(frozen=True)
class Series:
    """What to render: `count` clips of `duration_s`; `validation` takes faces that training never shows.

    `portraits` is a folder of pictures, `waves` an .npz whose arrays named `…_ppg` were recorded at 125 Hz.
    """

    count: int
    seed: int
    duration_s: float = 8.0
    validation: bool = False
    portraits: Path | None = None
    waves: Path | None = None

    def kept_out(self, count: int) -> "Series":
        """A series to validate on: other faces, other seeds."""
        return replace(self, count=count, seed=self.seed + 1, validation=True)


@dataclass(frozen=True)
class Job:
    """One clip of a series: the portrait it shows, and the file in which it will lie."""

    series: Series
    index: int
    source: Path | str
    path: Path


def planned(series: Series, folder: Path) -> list[Job]:
    """The clips of the series and the files in which they will lie, whether they are there yet or not."""
    places: list[Path | str] = [_NOBODY, *faces.portraits_in(series.portraits)]
    sources = [
        source for index, source in enumerate(places) if (index % _KEPT_OUT == _KEPT_OUT - 1) == series.validation
    ]
    common = fingerprint(Path(rendered_crops.__file__), Path(faces.__file__), Path(__file__), series.waves)
    jobs = []
    for index in range(series.count):
        rng = np.random.default_rng([series.seed, index, int(series.validation), 7])
        source = sources[int(rng.integers(len(sources)))] if sources and rng.random() >= _DRAWN else _NOBODY
        name = fingerprint(common, series.seed, index, series.duration_s, series.validation, source)
        jobs.append(Job(series, index, source, folder / f"{name}.npz"))
    return jobs


@contextmanager
def studio(jobs: Sequence[Job], processes: int) -> Iterator[Callable[[Path], Path]]:
    """Renders in processes of their own, in order, while its body runs; what it gives waits for a file.

    A clip that can't be rendered raises its error from the wait.
    """
    missing = [job for job in jobs if not job.path.is_file()]
    with get_context("spawn").Pool(max(processes, 1), _prepare) as pool:
        coming = {job.path: pool.apply_async(_render, (job,)) for job in missing}

        def wait(path: Path) -> Path:
            if path in coming:
                coming.pop(path).get()
            return path

        yield wait
        pool.terminate()


def _prepare() -> None:
    os.nice(10)
    silence_native_stderr()


def _render(job: Job) -> None:
    series, source = job.series, job.source
    cv2.setNumThreads(1)
    rng = np.random.default_rng([series.seed, job.index, int(series.validation), 8])
    face = None
    if not isinstance(source, str):
        try:
            face = faces.portrait_face(source, rng)
        except NoFaceInPortrait:
            face = None
    driver = None
    if series.waves is not None and rng.random() < _RECORDED:
        driver = recorded_wave(series.waves, series.duration_s, rng)
    rendered_crops.render(face or faces.drawn_face(rng), series.duration_s, rng, driver).save(job.path)


def recorded_wave(path: Path, duration_s: float, rng: np.random.Generator) -> Floats:
    """(n,) some seconds of a contact wave on the grid, played faster or slower; a beat is about 1 high."""
    with np.load(path) as held:
        names = sorted(name for name in held if name.endswith("_ppg"))
        wave = held[names[int(rng.integers(len(names)))]].astype(np.float64)
    speed = float(np.exp(rng.uniform(np.log(0.6), np.log(1.8))))
    length = round(duration_s * speed * _WAVES_HZ) + 2
    start = int(rng.integers(len(wave) - length))
    seconds = np.arange(length) / _WAVES_HZ / speed
    part = np.interp(np.arange(round(duration_s * GRID_HZ)) / GRID_HZ, seconds, wave[start : start + length])
    part = detrend(part, GRID_HZ, 0.3)
    low, high = np.percentile(part, (5, 95))
    return np.clip(part / max(float(high - low), 1e-6), -2, 2)
