"""What the analysis told of a clip and gave back, kept to be said again without the work."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, Field, SerializeAsAny, TypeAdapter, ValidationInfo, field_validator

from shared.schemas import VITAL_TYPES, Check, ClipFacts, Vital, Vitals, Waveforms
from shared.vitals import VITALS, Branch
from workers.branch.result import Progress

if TYPE_CHECKING:
    from workers.analyzer import Analyzer


class Told(BaseModel):
    """One thing that a branch told while it worked: a check, a vital, or else a stage."""

    name: str
    check: Check | None = None
    vital: SerializeAsAny[Vital] | None = None

    @field_validator("vital", mode="before")
    @classmethod
    def _by_name(cls, value: object, info: ValidationInfo) -> object:
        return VITAL_TYPES[info.data["name"]].model_validate(value) if isinstance(value, dict) else value


class Recording(BaseModel):
    """What a branch told, and gave back."""

    told: list[Told] = Field(default_factory=list)
    facts: ClipFacts
    checks: dict[str, Check]
    vitals: Vitals
    waveforms: Waveforms | None


RECORDINGS: Final = TypeAdapter(dict[Branch, Recording])


class _Listener(Progress):
    def __init__(self) -> None:
        self.told: list[Told] = []

    def stage(self, name: str) -> None:
        self.told.append(Told(name=name))

    def vital(self, name: str, vital: Vital) -> None:
        self.told.append(Told(name=name, vital=vital))

    def check(self, name: str, check: Check) -> None:
        self.told.append(Told(name=name, check=check))


def recorded(branch: Branch, clip: Path, analyzer: "Analyzer") -> Recording:
    """What `analyzer` tells and gives of the clip."""
    listener = _Listener()
    facts, result = analyzer.branch(branch, clip, frozenset(VITALS), listener)
    return Recording(
        told=listener.told, facts=facts, checks=result.checks, vitals=result.vitals, waveforms=result.waveforms
    )


def keep(recordings: dict[Branch, Recording], path: Path) -> None:
    """Write them to a file."""
    path.write_bytes(RECORDINGS.dump_json(recordings))
