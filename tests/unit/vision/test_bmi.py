"""BMI from face ratios: wide interval, experimental, gated on pose, and optional."""

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
    assert found is not None
    return found


def test_the_vital_is_experimental_with_a_wide_interval_and_a_baseline(mesh: Mesh) -> None:
    frames = np.stack([mesh] * 10)
    frames[4] = np.nan
    vital = body_mass_index(frames)
    assert vital.status is VitalStatus.EXPERIMENTAL
    assert vital.interval is not None
    assert isinstance(vital.value, float)
    assert vital.interval[1] - vital.interval[0] == pytest.approx(19.0, abs=0.2)
    assert vital.interval[0] < vital.value < vital.interval[1]
    assert vital.baseline == BASELINE
    assert "hardly better than a constant" in (vital.detail or "")
    assert abs(vital.value - MEAN) < 6


def test_ratios_are_invariant_to_scale_position_and_rotation(mesh: Mesh) -> None:
    turn = np.array([[0.9, -0.4359], [0.4359, 0.9]], np.float32)
    assert ratios((2.5 * mesh @ turn.T + 30).astype(np.float32)) == pytest.approx(ratios(mesh), rel=2e-3)


def test_a_wider_jaw_raises_the_index(mesh: Mesh) -> None:
    wide = mesh.copy()
    middle = (mesh[234] + mesh[454]) / 2
    low = mesh[:, 1] > middle[1]
    wide[low, 0] = middle[0] + 1.06 * (mesh[low, 0] - middle[0])
    assert index(ratios(wide)) > index(ratios(mesh))


def test_an_average_face_has_index_zero_and_extremes_are_clipped() -> None:
    assert index(RATIO_MEAN) == 0.0
    assert index(RATIO_MEAN + 20 * SIGNS * RATIO_SD) == 3.0


def test_a_turned_or_tilted_head_abstains_with_advice(mesh: Mesh) -> None:
    turned = mesh.copy()
    turned[1] += (turned[454] - turned[234]) * 0.25
    vital = body_mass_index(np.stack([turned] * 10))
    assert (vital.status, vital.reason) == (VitalStatus.ABSTAINED, Reason.FACE_LOST)
    no_face = np.full((10, 478, 2), np.nan, np.float32)
    assert body_mass_index(no_face).status is VitalStatus.ABSTAINED
