"""Recorded branches: the progress that an analysis of a clip reported and its result, to be replayed without work."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, Field, TypeAdapter

from shared.schemas import Check, ClipFacts, Vital, Waveforms
from shared.vitals import VITALS, Branch
from workers.branch.result import Progress

if TYPE_CHECKING:
    from workers.analyzer import Analyzer


class ProgressEvent(BaseModel):
    """One report of a branch's progress: a check, a vital, or otherwise a stage."""

    name: str
    check: Check | None = None
    vital: Vital | None = None


class Recording(BaseModel):
    """A branch's progress events and its result."""

    events: list[ProgressEvent] = Field(default_factory=list)
    facts: ClipFacts
    checks: dict[str, Check]
    vitals: dict[str, Vital]
    waveforms: Waveforms | None


RECORDINGS: Final = TypeAdapter(dict[Branch, Recording])


class _Recorder(Progress):
    def __init__(self) -> None:
        self.events: list[ProgressEvent] = []

    def stage(self, name: str) -> None:
        self.events.append(ProgressEvent(name=name))

    def vital(self, name: str, vital: Vital) -> None:
        self.events.append(ProgressEvent(name=name, vital=vital))

    def check(self, name: str, check: Check) -> None:
        self.events.append(ProgressEvent(name=name, check=check))


def record(branch: Branch, clip: Path, analyzer: "Analyzer") -> Recording:
    """Run a branch of `analyzer` on the clip, and record its progress and result.

    Raises:
        ClipRejected: the clip can't be analysed.
    """
    recorder = _Recorder()
    facts, result = analyzer.branch(branch, clip, frozenset(VITALS), recorder)
    return Recording(
        events=recorder.events, facts=facts, checks=result.checks, vitals=result.vitals, waveforms=result.waveforms
    )


def save(recordings: dict[Branch, Recording], path: Path) -> None:
    """Write recordings to a JSON file, which `facevitals.bench.replay_worker` reads."""
    path.write_bytes(RECORDINGS.dump_json(recordings))
