"""Division of clips by the people in them: what is fitted to some is judged on others."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

#: Parts that people are divided into, each judged by what the others were fitted to.
FOLDS: Final = 10


class OfPortrait(Protocol):
    """Anything that was measured on a rendered person."""

    @property
    def portrait(self) -> str:
        """Name of the person's portrait."""
        ...


Example = TypeVar("Example", bound=OfPortrait)
Model = TypeVar("Model")
Judged = TypeVar("Judged")


def judged_by_others(
    examples: Sequence[Example], fit: Callable[[list[Example]], Model], judge: Callable[[Example, Model], Judged]
) -> list[Judged]:
    """Judge each example by a model that was fitted to other people, fold by fold."""
    fold = folds_of([one.portrait for one in examples], FOLDS, seed=0)
    judged: list[Judged] = []
    for index in range(FOLDS):
        model = fit([one for one, its in zip(examples, fold, strict=True) if its != index])
        judged += [judge(one, model) for one, its in zip(examples, fold, strict=True) if its == index]
    return judged


class SubjectClip(Protocol):
    """Anything that belongs to one subject of one dataset."""

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        ...

    @property
    def subject(self) -> str:
        """Name of the subject."""
        ...


def folds_by_subject(clips: Sequence[SubjectClip], count: int, seed: int) -> NDArray[np.int64]:
    """A fold number (n,) for each clip; all clips of a subject are in the same fold."""
    return folds_of([clip.subject for clip in clips], count, seed)


def folds_of(subjects: Sequence[str], count: int, seed: int) -> NDArray[np.int64]:
    """A fold number (n,) for the subject of each clip; the same for the same subject."""
    names = sorted(set(subjects))
    shuffled = np.random.default_rng(seed).permutation(len(names)) % count
    fold_of = dict(zip(names, shuffled, strict=True))
    return np.array([fold_of[subject] for subject in subjects], dtype=np.int64)


def dataset_weights(clips: Sequence[SubjectClip]) -> NDArray[np.float64]:
    """Weights (n,) that sum to 1 and give every dataset the same total, however many clips it has."""
    names = [clip.dataset for clip in clips]
    weights = np.array([1.0 / names.count(name) for name in names])
    return np.asarray(weights / weights.sum())
