"""A gender told from outside, with the local models' answer beside it and behind it."""

from collections.abc import Sequence
from typing import Literal, Protocol

from shared.schemas import Gender, Method, VitalStatus
from shared.version import VERSION
from shared.vitals import GENDER
from workers.face.portraits import Portrait
from workers.vision.age_gender.ollama import NoAnswer


class GenderOracle(Protocol):
    """Portraits in, a gender out; raises NoAnswer."""

    @property
    def name(self) -> str:
        """What answers, for `method`."""
        ...

    def __call__(self, portraits: Sequence[Portrait], /) -> Literal["female", "male"]:
        """The gender of the person on the portraits."""
        ...


def asked(oracle: GenderOracle, portraits: Sequence[Portrait], local: Gender) -> Gender:
    """The oracle's answer, `experimental` because nobody has measured it; or the local one, and why it stands in."""
    try:
        told = oracle(portraits)
    except NoAnswer as why:
        note = f"{why}; the local models answered"
        return local.model_copy(update={"detail": f"{local.detail} ({note})" if local.detail else note})
    return Gender(
        value=told,
        unit=GENDER.unit,
        status=VitalStatus.EXPERIMENTAL,
        detail=None if local.value in {None, told} else f"The local models say {local.value}.",
        method=Method(name="vision-language model", version=VERSION, models=[oracle.name], frames=1),
    )
