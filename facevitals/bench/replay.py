"""Recorded branches: the progress that an analysis of a clip reported and its result, to be replayed without work."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, Field, SerializeAsAny, TypeAdapter, ValidationInfo, field_validator

from shared.schemas import VITAL_TYPES, Check, ClipFacts, Vital, Vitals, Waveforms
from shared.vitals import VITALS, Branch
from workers.branch.result import Progress

if TYPE_CHECKING:
    from workers.analyzer import Analyzer


class ProgressEvent(BaseModel):
    """One report of a branch's progress: a check, a vital, or otherwise a stage."""

    name: str
    check: Check | None = None
    vital: SerializeAsAny[Vital] | None = None

    @field_validator("vital", mode="before")
    @classmethod
    def _by_name(cls, value: object, info: ValidationInfo) -> object:
        return VITAL_TYPES[info.data["name"]].model_validate(value) if isinstance(value, dict) else value


class BranchRecording(BaseModel):
    """A branch's progress events and its result."""

    events: list[ProgressEvent] = Field(default_factory=list)
    facts: ClipFacts
    checks: dict[str, Check]
    vitals: Vitals
    waveforms: Waveforms | None


#: Parser and serialiser of the file of recordings.
RECORDINGS: Final = TypeAdapter(dict[Branch, BranchRecording])


class _Recorder(Progress):
    def __init__(self) -> None:
        self.events: list[ProgressEvent] = []

    def stage(self, name: str) -> None:
        self.events.append(ProgressEvent(name=name))

    def vital(self, name: str, vital: Vital) -> None:
        self.events.append(ProgressEvent(name=name, vital=vital))

    def check(self, name: str, check: Check) -> None:
        self.events.append(ProgressEvent(name=name, check=check))


def record(branch: Branch, clip: Path, analyzer: "Analyzer") -> BranchRecording:
    """Run a branch of `analyzer` on the clip, and record its progress and result.

    Raises:
        ClipRejected: the clip can't be analysed.
    """
    recorder = _Recorder()
    facts, result = analyzer.branch(branch, clip, frozenset(VITALS), recorder)
    return BranchRecording(
        events=recorder.events, facts=facts, checks=result.checks, vitals=result.vitals, waveforms=result.waveforms
    )


def save(recordings: dict[Branch, BranchRecording], path: Path) -> None:
    """Write recordings to a JSON file, which `facevitals.bench.replay_worker` reads."""
    path.write_bytes(RECORDINGS.dump_json(recordings))
