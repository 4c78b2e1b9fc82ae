"""Portraits: nine moments of the time with a face, from a bounded number of candidates."""

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.face.portraits import PortraitCollector

from .conftest import Picture

#: Seconds of seen face in which candidates are kept, and the shortest time between two of them.
KEPT_S = 10.0
INTERVAL_S = 0.15


@pytest.fixture(name="mesh", scope="module")
def _mesh() -> NDArray[np.float32]:
    """Random points within the middle of a frame of 320x240."""
    return np.random.default_rng(0).uniform((110, 60), (210, 180), (478, 2)).astype(np.float32)


@pytest.fixture(name="frame", scope="module")
def _frame() -> Picture:
    return np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)


def nearest_to_the_clips_moments(times_s: list[float]) -> list[float]:
    """Return the times of the portraits of a clip with the face at all of `times_s`, which begin at 0."""
    candidates: list[float] = []
    for time_s in times_s:
        if time_s <= KEPT_S and (not candidates or time_s - candidates[-1] >= INTERVAL_S):
            candidates.append(time_s)
    moments = range(1, 10) if times_s[-1] >= KEPT_S else [times_s[-1] * tenth / 10 for tenth in range(1, 10)]
    chosen = {int(np.argmin(np.abs(np.array(candidates) - moment))) for moment in moments}
    return [candidates[index] for index in sorted(chosen)]


@pytest.mark.parametrize("interval_s", [1 / 3, 1 / 9, 0.15, 0.1, 1.3])
@pytest.mark.parametrize("duration_s", [0.0, 1.0, 5.0, 9.99, 10.0, 15.0, 30.0])
def test_a_face_in_every_frame_has_its_portraits_at_the_clips_moments(
    frame: Picture, mesh: NDArray[np.float32], duration_s: float, interval_s: float
) -> None:
    rng = np.random.default_rng(2)
    count = int(duration_s / interval_s)
    times_s = [0.0, *(index * interval_s + float(rng.uniform(0, 0.03)) for index in range(1, count)), duration_s]
    collector = PortraitCollector()
    for time_s in times_s:
        collector.add_candidate(time_s, frame, mesh)
    assert [portrait.time_s for portrait in collector.select()] == nearest_to_the_clips_moments(times_s)


@pytest.mark.parametrize("seen", [1, 2, 5])
def test_the_number_of_candidates_is_bounded_where_the_face_is_lost_again_and_again(
    frame: Picture, mesh: NDArray[np.float32], seen: int
) -> None:
    collector = PortraitCollector()
    for index in range(3000):
        if index % (seen + 1):
            collector.add_candidate(index / 25, frame, mesh)
        else:
            collector.add_absence()
    assert 9 <= len(collector) <= KEPT_S / INTERVAL_S + 1
    assert len(collector.select()) == 9


def test_without_a_face_there_are_no_portraits() -> None:
    collector = PortraitCollector()
    collector.add_absence()
    assert collector.select() == ()
