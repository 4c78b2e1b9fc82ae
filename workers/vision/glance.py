"""What portraits alone tell, asked for while the rest of the clip is still being decoded."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from workers.portraits import Portrait
from workers.vision.cues.all import PortraitCues, portrait_cues
from workers.vision.models import Reading, VisionModels

# Portraits whose quality is below this part of the best one's are blurred or turned away beside it.
_WORSE: Final = 0.5


def best(portraits: Sequence[Portrait]) -> tuple[Portrait, ...]:
    """The portraits that are about as good as the best one."""
    least = _WORSE * max((portrait.quality for portrait in portraits), default=0.0)
    return tuple(portrait for portrait in portraits if portrait.quality >= least)


class Glance:
    """The networks' answers about one clip's portraits, and the cues of life in them.

    The portraits are those of the clip's first ten seconds. `begin` has them looked at in a thread of its own; where it
    was not called, they are looked at when asked for.
    """

    def __init__(self, models: VisionModels, wanted: frozenset[str] | None = None) -> None:
        asked = frozenset(models.weights)
        self._models, self._asked = models, asked if wanted is None else asked & wanted
        self._thread = ThreadPoolExecutor(1, "glance")
        self._portraits: tuple[Portrait, ...] | None = None
        self._begun: tuple[Future[Reading | None], Future[PortraitCues]] | None = None

    def begin(self, portraits: tuple[Portrait, ...]) -> None:
        """Has these portraits looked at."""
        self._portraits = portraits
        self._begun = self._thread.submit(self._look, portraits), self._thread.submit(self._examine, portraits)

    def reading(self, portraits: tuple[Portrait, ...]) -> Reading | None:
        """The answers about the better ones of these portraits; None where no network was asked for."""
        if self._begun and self._portraits is portraits:
            return self._begun[0].result()
        return self._look(portraits)

    def cues(self, portraits: tuple[Portrait, ...]) -> PortraitCues:
        """The cues of life in these portraits."""
        if self._begun and self._portraits is portraits:
            return self._begun[1].result()
        return self._examine(portraits)

    def _look(self, portraits: tuple[Portrait, ...]) -> Reading | None:
        return self._models.look(best(portraits), self._asked) if portraits and self._asked else None

    def _examine(self, portraits: tuple[Portrait, ...]) -> PortraitCues:
        return portrait_cues(portraits, self._models.networks)
