"""A simulated face measures alike however its recorder stored the pictures."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

import facevitals
from shared.schemas import VitalStatus

from .files import Picture, decoded, filtered, written

VITALS = ["heart_rate", "respiration_rate"]


@pytest.fixture(name="analyzer", scope="module")
def _analyzer() -> Iterator[facevitals.Analyzer]:
    with facevitals.Analyzer() as analyzer:
        yield analyzer


@pytest.fixture(name="original", scope="module")
def _original(
    tmp_path_factory: pytest.TempPathFactory, analyzer: facevitals.Analyzer
) -> tuple[list[Picture], facevitals.Analysis]:
    path = tmp_path_factory.mktemp("original") / "clip.mp4"
    facevitals.simulate(path, heart_rate=72, respiration_rate=15, duration_s=15, width=320, height=240, seed=7)
    return [frame.rgb for frame in decoded(path)[0]], analyzer.analyze(path, vitals=VITALS)


def assert_measures_alike(path: Path, analyzer: facevitals.Analyzer, original: facevitals.Analysis) -> None:
    analysis = analyzer.analyze(path, vitals=VITALS)
    for name in VITALS:
        vital, expected = getattr(analysis.vitals, name), getattr(original.vitals, name)
        assert vital.status is expected.status is VitalStatus.OK, name
        assert expected.interval[0] <= vital.value <= expected.interval[1], name


def test_a_face_that_is_turned_in_the_keyframes_alone(
    tmp_path: Path, analyzer: facevitals.Analyzer, original: tuple[list[Picture], facevitals.Analysis]
) -> None:
    plain = written(tmp_path / "plain.mp4", [np.rot90(picture, -1) for picture in original[0]])
    path = filtered(plain, tmp_path / "clip.mp4", "h264_metadata=display_orientation=insert:rotate=90")
    assert_measures_alike(path, analyzer, original[1])


def test_a_face_that_is_stored_squeezed(
    tmp_path: Path, analyzer: facevitals.Analyzer, original: tuple[list[Picture], facevitals.Analysis]
) -> None:
    squeezed = (
        np.asarray(cv2.resize(picture, (240, 240), interpolation=cv2.INTER_AREA), np.uint8) for picture in original[0]
    )
    path = written(tmp_path / "clip.mp4", squeezed, pixel_aspect=Fraction(4, 3))
    assert_measures_alike(path, analyzer, original[1])
