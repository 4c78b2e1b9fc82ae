"""How a value of this branch came about."""

from collections.abc import Iterable

from shared.schemas import Method
from shared.version import VERSION


def method_of(name: str, models: Iterable[str], frames: int) -> Method:
    """The method's name, this version, the weights that took part, and how many frames were measured."""
    return Method(name=name, version=VERSION, models=sorted(models), frames=frames)
