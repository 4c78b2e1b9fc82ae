"""BMI from face ratios: wide, experimental, gated on pose, and able to be turned off."""

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from shared.schemas import VitalStatus
from shared.vitals import Reason
from workers.face.mesh import FaceFinder
from workers.vision.bmi.proportions import BASELINE, MEAN, RATIO_MEAN, RATIO_SD, SIGNS, body_mass_index, index, ratios

Mesh = NDArray[np.float32]


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    finder = FaceFinder()
    found = finder.mesh(np.asarray(data.astronaut(), np.uint8))  # type: ignore[no-untyped-call]
    finder.close()
    assert found is not None
    return found


def test_the_answer_is_experimental_wide_and_beside_a_constant(mesh: Mesh) -> None:
    frames = np.stack([mesh] * 10)
    frames[4] = np.nan
    vital = body_mass_index(frames)
    assert vital.status is VitalStatus.EXPERIMENTAL
    assert vital.interval is not None
    assert isinstance(vital.value, float)
    assert vital.interval[1] - vital.interval[0] == pytest.approx(19.0, abs=0.2)
    assert vital.interval[0] < vital.value < vital.interval[1]
    assert vital.baseline == BASELINE
    assert "hardly more than knowing nothing" in (vital.detail or "")
    assert abs(vital.value - MEAN) < 6


def test_ratios_know_neither_size_nor_place_nor_tilt(mesh: Mesh) -> None:
    turn = np.array([[0.9, -0.4359], [0.4359, 0.9]], np.float32)
    assert ratios((2.5 * mesh @ turn.T + 30).astype(np.float32)) == pytest.approx(ratios(mesh), rel=2e-3)


def test_a_wider_jaw_is_a_higher_index(mesh: Mesh) -> None:
    wide = mesh.copy()
    middle = (mesh[234] + mesh[454]) / 2
    low = mesh[:, 1] > middle[1]
    wide[low, 0] = middle[0] + 1.06 * (mesh[low, 0] - middle[0])
    assert index(ratios(wide)) > index(ratios(mesh))


def test_an_average_face_is_an_average_index_and_an_odd_one_is_kept_in_bounds() -> None:
    assert index(RATIO_MEAN) == 0.0
    assert index(RATIO_MEAN + 20 * SIGNS * RATIO_SD) == 3.0


def test_a_head_that_is_turned_or_tilted_is_told_to_look_straight(mesh: Mesh) -> None:
    turned = mesh.copy()
    turned[1] += (turned[454] - turned[234]) * 0.25
    vital = body_mass_index(np.stack([turned] * 10))
    assert (vital.status, vital.reason) == (VitalStatus.ABSTAINED, Reason.FACE_LOST)
    nobody = np.full((10, 478, 2), np.nan, np.float32)
    assert body_mass_index(nobody).status is VitalStatus.ABSTAINED
