"""Rendered clips on disk: the same seed gives the same clips, and existing files are not rendered again."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from lab.arrays import Floats
from lab.data.fingerprint import fingerprint
from lab.simulate.cutout import NoFaceInPortrait
from lab.train.deepphys import faces, rendered_crops
from workers.rppg.signals.filters import detrend
from workers.rppg.signals.traces import GRID_HZ

#: Share of drawn faces, and share of recorded contact pulses where some are given.
_DRAWN: Final = 0.15
_RECORDED: Final = 0.35
#: One in this many portraits is used for validation only.
_HELD_OUT_EVERY: Final = 12
#: Source of a clip that shows a drawn face instead of a portrait.
_DRAWN_FACE: Final = "drawn"
#: Sampling rate of the contact waves, Hz (BIDMC, Pimentel et al. 2017).
_WAVES_HZ: Final = 125


@dataclass(frozen=True)
class Series:
    """What to render.

    count, seed  number of clips, and the seed that they are drawn by
    duration_s   length of each clip
    validation   whether to use the faces that training never shows
    portraits    folder of pictures; without one all faces are drawn
    waves        an .npz with arrays `…_ppg` of contact PPG at 125 Hz
    """

    count: int
    seed: int
    duration_s: float = 8.0
    validation: bool = False
    portraits: Path | None = None
    waves: Path | None = None

    def held_out(self, count: int) -> "Series":
        """A series to validate on: other faces, another seed."""
        return replace(self, count=count, seed=self.seed + 1, validation=True)


@dataclass(frozen=True)
class Job:
    """One clip of a series: the portrait that it shows, and the file that it is written to."""

    series: Series
    index: int
    source: Path | str
    path: Path


def plan_jobs(series: Series, folder: Path) -> list[Job]:
    """The clips of the series and their files in `folder`, whether or not they exist."""
    places: list[Path | str] = [_DRAWN_FACE, *faces.portraits_in(series.portraits)]
    sources = [
        source
        for index, source in enumerate(places)
        if (index % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1) == series.validation
    ]
    common = fingerprint(Path(rendered_crops.__file__), Path(faces.__file__), Path(__file__), series.waves)
    jobs = []
    for index in range(series.count):
        rng = np.random.default_rng([series.seed, index, int(series.validation), 7])
        source = sources[int(rng.integers(len(sources)))] if sources and rng.random() >= _DRAWN else _DRAWN_FACE
        name = fingerprint(common, series.seed, index, series.duration_s, series.validation, source)
        jobs.append(Job(series, index, source, folder / f"{name}.npz"))
    return jobs


@contextmanager
def rendering(jobs: Sequence[Job], processes: int) -> Iterator[Callable[[Path], Path]]:
    """Render missing files in `processes` processes, in order, while the context is open.

    Yields a function that waits for a file and returns its path; it raises the error of a clip that can't be rendered.
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
    """A random part of a contact PPG on the grid, (duration_s · GRID_HZ,), at 0.6 to 1.8 times its speed.

    An average beat is about 1 high.
    """
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
