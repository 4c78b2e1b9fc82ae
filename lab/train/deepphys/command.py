"""`facevitals train deepphys`: recordings and rendered clips in, a checkpoint and an ONNX file out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from lab.data.prepared import prepared, recordings_in, subjects
from lab.data.recording import Recording
from lab.train.deepphys.learn import Plan, train
from lab.train.deepphys.studio import Series, planned, studio
from workers.face.tracker import FaceTracker
from workers.models.deepphys_network import graph_of
from workers.rppg.signals.traces import NoTraces

#: Of so many subjects one is kept out of training.
_KEPT_OUT: Final = 5
#: Rendered clips to validate on where no recordings are given.
_VALIDATION: Final = 32


@dataclass(frozen=True)
class Sources:
    """What to learn from: folders of recordings, a number of rendered clips, or both.

    `portraits` and `waves` are for the rendered ones (`lab.train.deepphys.studio.Series`).
    """

    data: Sequence[Path] = ()
    rendered: int = 0
    portraits: Path | None = None
    waves: Path | None = None


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
    say: Callable[[str], None] = lambda _line: None,
) -> dict[str, Any]:
    """Train; `folder` gets `deepphys.pth`, `deepphys.onnx`, `log.csv`, `last.pt` and the cache of prepared clips.

    Raises ValueError where there is nothing to learn from, or `resume` meets another plan.
    """
    torch.set_num_threads(threads)
    cache = folder / "cache"
    train_files: list[Path] = []
    validation_files: list[Path] = []
    for data in sources.data:
        chosen, kept_out = subjects(recordings_in(data), _KEPT_OUT)
        train_files += _prepare(chosen, cache, say)
        validation_files += _prepare(kept_out, cache, say)
    series = Series(sources.rendered, plan.seed, portraits=sources.portraits, waves=sources.waves)
    jobs = planned(series, cache)
    tests = planned(series.kept_out(_VALIDATION), cache) if sources.rendered and not validation_files else []
    if not (train_files or jobs) or not (validation_files or tests):
        raise ValueError("training needs recordings of two people or more, or rendered clips")
    # Those that are needed first are rendered first.
    first = plan.known(0)
    with _rendering([*jobs[:first], *tests, *jobs[first:]], processes) as wait:
        told = train(
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
    network.write_bytes(graph_of(folder / "deepphys.pth", one_look=True))
    return {**told, "network": str(network)}


@contextmanager
def _rendering(jobs: list[Any], processes: int) -> Iterator[Callable[[Path], Path]]:
    if not jobs:
        yield lambda path: path
        return
    with studio(jobs, processes) as wait:
        yield wait


def _prepare(recordings: Sequence[Recording], cache: Path, say: Callable[[str], None]) -> list[Path]:
    found = []
    with closing(FaceTracker()) as tracker:
        for recording in recordings:
            try:
                found.append(prepared(recording, cache, tracker))
            except NoTraces as error:
                say(f"{recording.name} is left out: {error}")
    return found
