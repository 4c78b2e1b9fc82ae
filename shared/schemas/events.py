"""The events of a job's stream: one schema for the data of each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, Union

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator

from shared.schemas.base import Schema
from shared.schemas.job import BranchReport, Check, JobState
from shared.schemas.vital_types import VITAL_TYPES, Vital
from shared.vitals import Branch, CheckName, Stage, VitalName

if TYPE_CHECKING:
    _AnyVital = Vital
else:
    _AnyVital = Union[tuple(VITAL_TYPES.values())]  # noqa: UP007  (of as many types as there are vitals)


class StateEvent(Schema):
    """The job's state changed."""

    state: JobState


class BranchEvent(Schema):
    """A branch began or ended."""

    branch: Branch
    report: BranchReport


class StageEvent(Schema):
    """A branch began a stage of its work."""

    branch: Branch
    stage: Stage
    elapsed_ms: int = Field(description="Since the branch began, ms.")


class CheckEvent(Schema):
    """A check on the clip is known. A later event of the same name replaces it."""

    name: CheckName
    check: Check


class VitalEvent(Schema):
    """A vital is known, provisionally until `done`. A later event of the same name replaces it.

    The checks may be known later: where liveness fails, the vitals of the pulse are withdrawn by such events.
    """

    name: VitalName
    # As the model that it is: a union would look for the one that fits best.
    vital: SerializeAsAny[_AnyVital]

    @field_validator("vital", mode="before")
    @classmethod
    def _parse_by_name(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, dict) and "name" in info.data:
            return VITAL_TYPES[info.data["name"]].model_validate(value, extra="ignore")
        return value


class DoneEvent(Schema):
    """The job has ended; its document is final. The stream ends with this event."""

    state: Literal[JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED]


#: The schema of an event's data, by the event's name.
EVENTS: Final[Mapping[str, type[Schema]]] = {
    "state": StateEvent,
    "branch": BranchEvent,
    "stage": StageEvent,
    "check": CheckEvent,
    "vital": VitalEvent,
    "done": DoneEvent,
}
