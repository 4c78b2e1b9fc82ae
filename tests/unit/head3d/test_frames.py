"""Every condition of a clip shows in the frames of the second renderer."""

from dataclasses import fields, replace
from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.head3d import frames_of
from lab.world.conditions import Conditions, draw
from lab.world.portraits import find_portraits
from tests.unit.head3d.shots import CALM, shot_of

#: Another value of each field, and what else must hold for it to matter.
CHANGES: dict[str, tuple[object, dict[str, object]]] = {
    "stratum": ("motion", {}),
    "seed": (4, {}),
    "index": (1, {}),
    "skin_type": (6, {}),
    "subject": ("doll", {}),
    "resolution": ("320x240", {}),
    "face_share": (0.4, {}),
    "face_across": (0.4, {}),
    "face_down": (0.5, {}),
    "rhythm": ("fibrillation", {}),
    "heart_rate": (120.0, {}),
    "sdnn_ms": (10.0, {}),
    "respiration_rate": (28.0, {}),
    "pulse_strength": (1.8, {}),
    "blood_red": (0.7, {}),
    "blood_blue": (0.4, {}),
    "makeup": (0.7, {}),
    "sway": (2.0, {}),
    "rhythmic_axis": ("yaw", {"rhythmic_axis": "pitch", "rhythmic_size": 3.0}),
    "rhythmic_hz": (3.0, {"rhythmic_axis": "pitch", "rhythmic_size": 3.0}),
    "rhythmic_size": (1.0, {"rhythmic_axis": "pitch", "rhythmic_size": 3.0}),
    "rhythmic_drift": (0.12, {"rhythmic_axis": "pitch", "rhythmic_size": 3.0, "rhythmic_drift": 0.0}),
    "large_moves": (600.0, {}),
    "talking": (1.0, {}),
    "blink_rate": (100.0, {}),
    "light": (0.1, {}),
    "light_drift": (0.05, {}),
    "light_field": (0.6, {"light_field": 0.05}),
    "person_light": ("lamp", {}),
    "person_light_share": (0.5, {"person_light": "lamp", "person_light_share": 0.1}),
    "person_light_depth": (0.15, {"person_light": "lamp", "person_light_depth": 0.003}),
    "person_light_hz": (3.0, {"person_light": "lamp", "person_light_depth": 0.15, "person_light_rhythmic": 1.0}),
    "person_light_rhythmic": (1.0, {"person_light": "lamp", "person_light_depth": 0.15, "person_light_rhythmic": 0.0}),
    "person_light_tint": ("red", {"person_light": "lamp"}),
    "room_flicker_depth": (0.05, {}),
    "room_flicker_hz": (4.0, {"room_flicker_depth": 0.05}),
    "band_depth": (0.1, {}),
    "band_hz": (4.0, {"band_depth": 0.1, "band_hz": 0.1}),
    "band_count": (3.0, {"band_depth": 0.1, "band_count": 0.6}),
    "auto_exposure": (1.0, {"light_drift": 0.2}),
    "tone_mapping": (0.8, {}),
    "temporal_denoise": (0.85, {}),
    "beauty": (0.8, {}),
    "background": ("virtual", {}),
    "mask_error": (0.04, {"background": "blur", "mask_error": 0.004}),
}
#: Fields that `lab.render.clip` gives effect to; the portrait is the shot's picture.
ELSEWHERE = {
    "portrait", "duration_s", "fps", "codec", "bitrate_bps", "keyframe_s", "jitter", "dropped", "downscale",
}  # fmt: skip


def calm(**changes: object) -> Conditions:
    return replace(draw("still", 3, 0, find_portraits(None)), **(CALM | changes))  # type: ignore[arg-type]


def rendered(conditions: Conditions, count: int = 30) -> NDArray[np.uint8]:
    return np.array(list(islice(frames_of(shot_of(conditions)), count)))


def test_each_field_is_tested() -> None:
    assert set(CHANGES) | ELSEWHERE == {item.name for item in fields(Conditions)}


@pytest.mark.parametrize("field", CHANGES)
def test_each_condition_changes_the_frames(field: str) -> None:
    value, others = CHANGES[field]
    before, after = calm(**others), calm(**(others | {field: value}))
    assert not np.array_equal(rendered(before), rendered(after))


def test_the_same_shot_gives_the_same_frames() -> None:
    assert np.array_equal(rendered(calm(sway=2.0)), rendered(calm(sway=2.0)))


@pytest.mark.parametrize("subject", ["live", "photo", "print", "doll", "covered", "wall", "noise"])
def test_each_subject_fills_frames_of_the_size(subject: str) -> None:
    frames = rendered(calm(subject=subject, resolution="320x180"), 3)
    assert frames.shape == (3, 180, 320, 3)
    assert frames.dtype == np.uint8
    assert 10 < frames.mean() < 245


def test_a_portrait_without_a_face_is_refused() -> None:
    shot = replace(shot_of(calm()), picture=np.full((200, 200, 3), 128, np.uint8))
    with pytest.raises(ValueError, match="no face"):
        next(iter(frames_of(shot)))


def test_noise_grows_as_the_root_of_the_dark() -> None:
    """A wall under constant light: what changes from frame to frame is noise."""
    noises = []
    for light in (0.25, 0.0625):
        frames = rendered(calm(subject="wall", light=light)).astype(np.float64)
        noises.append(float(np.median(frames.std(axis=0))))
    assert noises[1] / noises[0] == pytest.approx(2.0, rel=0.15)


def test_automatic_exposure_undoes_most_of_a_change_of_the_light() -> None:
    swings = []
    for share in (0.0, 1.0):
        conditions = calm(duration_s=10.0, fps=10, light_drift=0.2, auto_exposure=share)
        swings.append(float(rendered(conditions, 100).mean(axis=(1, 2, 3)).std()))
    assert swings[1] < 0.6 * swings[0]
