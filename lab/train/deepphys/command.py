"""`facevitals train deepphys`: recordings and rendered clips in, a checkpoint and an ONNX file out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from lab.data.prepared import prepared, recordings_in, subjects
from lab.data.recording import Recording
from lab.train.deepphys.kept_clips import kept_examples
from lab.train.deepphys.learn import Plan, train
from lab.train.deepphys.rendered_dataset import Series, plan_jobs, rendering
from workers.face.tracker import FaceTracker
from workers.models.deepphys_network import graph_of
from workers.rppg.signals.traces import NoTraces

#: One in this many subjects is held out of training.
_HELD_OUT_EVERY: Final = 5
#: Rendered clips for validation where no recordings are given.
_VALIDATION: Final = 32


@dataclass(frozen=True)
class Sources:
    """What to train on: folders of recordings, folders of kept clips of the world, a number of rendered clips.

    `portraits` and `waves` are used for rendered clips (`lab.train.deepphys.rendered_dataset.Series`); kept clips need
    the `waves` that they were rendered with.
    """

    data: Sequence[Path] = ()
    rendered: int = 0
    portraits: Path | None = None
    waves: Path | None = None
    kept: Sequence[Path] = ()


def run(
    plan: Plan,
    sources: Sources,
    folder: Path,
    *,
    start: Path | None = None,
    resume: bool = False,
    threads: int = 1,
    processes: int = 1,
    on_step: Callable[[int, float], None] = lambda _step, _loss: None,
    log_line: Callable[[str], None] = lambda _line: None,
) -> dict[str, Any]:
    """Train; `folder` gets `deepphys.pth`, `deepphys.onnx`, `log.csv`, `last.pt` and a cache of prepared clips.

    Raises:
        ValueError: there is nothing to train on, or `resume` finds a checkpoint of another plan.
    """
    torch.set_num_threads(threads)
    cache = folder / "cache"
    train_files: list[Path] = []
    validation_files: list[Path] = []
    for data in sources.data:
        chosen, held_out = subjects(recordings_in(data), _HELD_OUT_EVERY)
        train_files += _prepare(chosen, cache, log_line)
        validation_files += _prepare(held_out, cache, log_line)
    for rows in sources.kept:
        chosen_files, held_out_files = kept_examples(rows, sources.waves, cache, _HELD_OUT_EVERY)
        train_files += chosen_files
        validation_files += held_out_files
    series = Series(sources.rendered, plan.seed, portraits=sources.portraits, waves=sources.waves)
    jobs = plan_jobs(series, cache)
    tests = plan_jobs(series.held_out(_VALIDATION), cache) if sources.rendered and not validation_files else []
    if not (train_files or jobs) or not (validation_files or tests):
        raise ValueError("training needs recordings or kept clips of two people or more, or rendered clips")
    # In the order in which training needs them.
    first = plan.known(0)
    with _rendering([*jobs[:first], *tests, *jobs[first:]], processes) as wait:
        summary = train(
            plan,
            [*train_files, *(job.path for job in jobs)],
            [*validation_files, *(job.path for job in tests)],
            folder,
            start=start,
            resume=resume,
            wait=wait,
            on_step=on_step,
        )
    network = folder / "deepphys.onnx"
    network.write_bytes(graph_of(folder / "deepphys.pth", single_appearance=True))
    return {**summary, "network": str(network)}


@contextmanager
def _rendering(jobs: list[Any], processes: int) -> Iterator[Callable[[Path], Path]]:
    if not jobs:
        yield lambda path: path
        return
    with rendering(jobs, processes) as wait:
        yield wait


def _prepare(recordings: Sequence[Recording], cache: Path, log_line: Callable[[str], None]) -> list[Path]:
    found = []
    tracker = FaceTracker()
    for recording in recordings:
        try:
            found.append(prepared(recording, cache, tracker))
        except NoTraces as error:
            log_line(f"{recording.name} is left out: {error}")
    return found
