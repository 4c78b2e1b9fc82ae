"""Frames of the world show what the conditions state."""

from dataclasses import fields, replace
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.arrays import Floats
from lab.render.clip import frame_times
from lab.simulate.optics import GREEN_PULSE, to_linear
from lab.simulate.portrait import load_portrait
from lab.simulate.world_frames import frames_of
from lab.simulate.world_light import light_of, person_change
from lab.simulate.world_person import face_height, face_place
from lab.world.conditions import Conditions, draw
from lab.world.portraits import ASTRONAUT, Portrait, find_portraits
from lab.world.pulse import pulse_of
from lab.world.shot import Shot

(ASTRONAUT_PORTRAIT,) = find_portraits(None)

#: A living person who holds still in steady light, before a camera without software.
CALM: Final = replace(
    draw("still", 5, 0, [ASTRONAUT_PORTRAIT]),
    duration_s=5.0, fps=30.0, resolution="320x240", jitter=0.0, dropped=0.0, face_share=0.6, face_across=0.5,
    face_down=0.5, rhythm="sinus", heart_rate=75.0, sdnn_ms=20.0, pulse_strength=1.0, blood_red=0.4, blood_blue=0.7,
    makeup=0.0, sway=0.0, rhythmic_axis="none", large_moves=0.0, talking=0.0, blink_rate=0.0, light=1.0,
    light_drift=0.0, light_field=0.3, person_light="none", room_flicker_depth=0.0, band_depth=0.0, auto_exposure=0.0,
    tone_mapping=0.0, temporal_denoise=0.0, beauty=0.0, background="room", subject="live",
)  # fmt: skip
TINY: Final = replace(CALM, resolution="160x120", duration_s=1.0, fps=12.0)

#: Conditions that the encoder and the writer of the file obey, not the renderer.
WRITTEN: Final = {"codec", "bitrate_bps", "keyframe_s", "downscale"}


def shot_of(conditions: Conditions, portrait: Portrait = ASTRONAUT_PORTRAIT) -> Shot:
    times = frame_times(conditions, 90_000)
    breath = pulse_of(conditions, None)
    return Shot(conditions, times, portrait.picture(), breath if conditions.alive else None, breath)


def rendered(conditions: Conditions) -> NDArray[np.uint8]:
    """Frames (n, h, w, 3)."""
    return np.stack(list(frames_of(shot_of(conditions))))


def skin_mask(conditions: Conditions) -> NDArray[np.bool_]:
    """Where a frame (h, w) shows well perfused skin of a face that holds still."""
    below = (1 - conditions.face_down) / conditions.face_share + 0.5
    portrait = load_portrait(shot_of(conditions).picture, face_height(conditions), below=below, alone=True)
    left, top = np.rint(np.array(face_place(conditions)) - portrait.centre).astype(int)
    mask = np.zeros(conditions.size[::-1], bool)
    ys, xs = np.nonzero(portrait.perfusion > 0.8)
    ys, xs = ys + top, xs + left
    inside = (ys >= 0) & (ys < mask.shape[0]) & (xs >= 0) & (xs < mask.shape[1])
    mask[ys[inside], xs[inside]] = True
    return mask


def colours(frames: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Floats:
    """Mean linear light (n, 3) of the pixels of a mask."""
    return np.array([to_linear(frame[mask]).mean(axis=0) for frame in frames], np.float64)


def ac_dc(curves: Floats, wave: Floats) -> Floats:
    """How much of each relative curve (n, k) follows a wave (n,), free of slow drift."""
    time = np.linspace(-1, 1, len(curves))
    slow = np.stack([np.cos(k * np.pi * (time + 1) / 2) for k in range(4)], axis=1)
    basis = np.column_stack([wave, slow])
    fit, *_ = np.linalg.lstsq(basis, curves / curves.mean(axis=0), rcond=None)
    return np.asarray(fit[0])


def power_at(curve: Floats, rate_hz: float, fps: float) -> float:
    """Amplitude of a curve (n,) at a rate, as a share of its mean."""
    centred = curve / curve.mean() - 1
    turns = np.exp(-2j * np.pi * rate_hz * np.arange(len(curve)) / fps)
    return float(2 * np.abs((centred * np.hanning(len(curve)) * turns).sum()) / np.hanning(len(curve)).sum())


def corner(frames: NDArray[np.uint8]) -> Floats:
    """Mean linear light (n, 3) of a corner that shows the room."""
    return np.array([to_linear(frame[:60, :60]).mean(axis=(0, 1)) for frame in frames], np.float64)


def test_skin_pulsates_as_its_type_and_in_the_colours_of_the_blood() -> None:
    conditions = replace(CALM, pulse_strength=1.3)
    found = -ac_dc(colours(rendered(conditions), skin_mask(conditions)), _wave(conditions))
    assert found[1] == pytest.approx(1.3 * GREEN_PULSE[conditions.skin_type - 1], rel=0.1)
    assert found / found[1] == pytest.approx(conditions.blood_rgb, rel=0.1)


def test_makeup_hides_its_share_of_the_pulse() -> None:
    mask = skin_mask(CALM)
    bare, made_up = (
        -ac_dc(colours(rendered(case), mask), _wave(case))[1] for case in (CALM, replace(CALM, makeup=0.7))
    )
    assert made_up == pytest.approx(0.3 * bare, rel=0.2)


def test_the_room_does_not_pulsate() -> None:
    assert np.abs(ac_dc(corner(rendered(CALM)), _wave(CALM))).max() < 0.001


@pytest.mark.parametrize("subject", ["photo", "doll", "print"])
def test_what_does_not_live_has_no_pulse(subject: str) -> None:
    conditions = replace(CALM, subject=subject)
    found = np.abs(ac_dc(colours(rendered(conditions), skin_mask(conditions)), _wave(conditions)))
    assert found.max() < 0.1 * GREEN_PULSE[conditions.skin_type - 1]


def test_a_photo_does_not_move_and_a_doll_does() -> None:
    moving = replace(TINY, sway=2.0, blink_rate=60.0, talking=1.0)
    steps = {}
    for subject in ("photo", "doll"):
        frames = rendered(replace(moving, subject=subject)).astype(np.float64)
        steps[subject] = float(np.abs(frames[6:].mean(axis=0) - frames[:6].mean(axis=0)).mean())
    assert steps["doll"] > 2 * steps["photo"]


def test_light_on_the_person_changes_the_person_and_not_the_wall() -> None:
    conditions = replace(
        CALM, subject="photo", person_light="lamp", person_light_share=0.4, person_light_depth=0.1,
        person_light_rhythmic=1.0, person_light_hz=1.3, person_light_tint="white",
    )  # fmt: skip
    frames, change = rendered(conditions), person_change(conditions, frame_times(conditions, 90_000))
    assert ac_dc(colours(frames, skin_mask(conditions)), change)[1] == pytest.approx(0.4, rel=0.1)
    assert 0 < ac_dc(corner(frames), change)[1] < 0.04


def test_light_of_the_bloods_colours_changes_skin_as_a_pulse_does() -> None:
    conditions = replace(
        CALM, subject="photo", person_light="lamp", person_light_share=0.4, person_light_depth=0.05,
        person_light_rhythmic=1.0, person_light_hz=1.3, person_light_tint="blood",
    )  # fmt: skip
    change = person_change(conditions, frame_times(conditions, 90_000))
    found = ac_dc(colours(rendered(conditions), skin_mask(conditions)), change)
    assert found / found[1] == pytest.approx(conditions.blood_rgb, rel=0.1)


@pytest.mark.parametrize("axis", ["pitch", "yaw"])
def test_a_nod_changes_the_faces_light_at_its_rate_and_more_in_light_from_one_side(axis: str) -> None:
    nod = replace(
        CALM,
        subject="doll",
        rhythmic_axis=axis,
        rhythmic_hz=1.6,
        rhythmic_size=2.0,
        rhythmic_drift=0.0,
        duration_s=10.0,
    )
    sizes = []
    for field in (0.05, 0.6):
        conditions = replace(nod, light_field=field)
        face = colours(rendered(conditions), skin_mask(conditions))[:, 1]
        sizes.append(power_at(face, 1.6, 30))
        assert power_at(face, 1.6, 30) > 3 * power_at(face, 2.6, 30)
    # A turn of two degrees is 0.035: the light of a rounded face changes by a share of it.
    assert sizes[0] < sizes[1] < 0.035


def test_shoulders_rise_with_the_breath() -> None:
    conditions = replace(CALM, face_share=0.3, face_down=0.4, respiration_rate=24.0, subject="doll", duration_s=8.0)
    shot = shot_of(conditions)
    frames = np.stack(list(frames_of(shot)))
    # The shoulder's edge crosses this patch: more of it is shoulder after an inspiration.
    patch = frames[:, 170:200, 70:100].astype(np.float64).mean(axis=(1, 2))
    lung = shot.breath.lung_at(shot.times_s)
    assert max(abs(np.corrcoef(patch[:, k], lung)[0, 1]) for k in range(3)) > 0.8


def test_auto_exposure_undoes_slow_changes_of_the_light() -> None:
    lit = replace(
        CALM, subject="photo", face_share=0.7, person_light="lamp", person_light_share=0.5, person_light_depth=0.15,
        person_light_rhythmic=0.0, duration_s=8.0,
    )  # fmt: skip
    fixed, automatic = (
        float(rendered(replace(lit, auto_exposure=share)).mean(axis=(1, 2, 3)).std()) for share in (0.0, 1.0)
    )
    assert automatic < 0.5 * fixed


def test_temporal_denoising_leaves_less_noise() -> None:
    still = replace(TINY, subject="photo", fps=30.0)
    noise = [rendered(replace(still, temporal_denoise=share))[10:].std(axis=0).mean() for share in (0.0, 0.4, 0.7)]
    assert noise[0] > 1.2 * noise[1] > 1.2 * noise[2]


def test_a_virtual_background_hides_the_room_but_for_the_masks_errors() -> None:
    frames = rendered(replace(CALM, background="virtual", mask_error=0.04, duration_s=2.0))
    assert frames[:, :20, :20].std(axis=0).max() < 1.0
    edges = [
        rendered(replace(CALM, background="virtual", mask_error=error, duration_s=2.0)).std(axis=0).max()
        for error in (0.001, 0.04)
    ]
    assert edges[1] > 1.5 * edges[0]


def test_dark_rooms_are_noisier() -> None:
    still = replace(TINY, subject="photo", fps=30.0)
    bright, dark = (
        (frames.std(axis=0) / frames.mean(axis=0)).mean()
        for frames in (to_linear(rendered(replace(still, light=light))) for light in (1.0, 0.1))
    )
    assert dark > 2 * bright


def test_the_same_conditions_give_the_same_frames() -> None:
    assert np.array_equal(rendered(TINY), rendered(TINY))


LIT: Final = {
    "person_light": "lamp",
    "person_light_share": 0.4,
    "person_light_depth": 0.1,
    "person_light_rhythmic": 0.5,
}
NODS: Final = {"rhythmic_axis": "pitch", "rhythmic_hz": 1.0, "rhythmic_size": 2.0, "rhythmic_drift": 0.05}
#: Another value of each field, and the conditions in which it has an effect.
CHANGES: Final[dict[str, tuple[Any, dict[str, Any]]]] = {
    "stratum": ("motion", {}),
    "seed": (6, {}),
    "index": (1, {}),
    "skin_type": (5, {"pulse_strength": 5.0}),
    "subject": ("photo", {}),
    "duration_s": (1.5, {}),
    "fps": (20.0, {}),
    "resolution": ("192x144", {}),
    "jitter": (0.3, {}),
    "dropped": (0.4, {}),
    "face_share": (0.4, {}),
    "face_across": (0.45, {}),
    "face_down": (0.45, {}),
    "rhythm": ("fibrillation", {"pulse_strength": 5.0}),
    "heart_rate": (120.0, {"pulse_strength": 5.0}),
    "sdnn_ms": (90.0, {"pulse_strength": 5.0}),
    "respiration_rate": (30.0, {}),
    "pulse_strength": (5.0, {}),
    "blood_red": (0.7, {"pulse_strength": 5.0}),
    "blood_blue": (1.05, {"pulse_strength": 5.0}),
    "makeup": (0.7, {"pulse_strength": 5.0}),
    "sway": (2.0, {}),
    "rhythmic_axis": ("across", NODS),
    "rhythmic_hz": (2.0, NODS),
    "rhythmic_size": (4.0, NODS),
    "rhythmic_drift": (0.12, NODS),
    "large_moves": (200.0, {}),
    "talking": (1.0, {}),
    "blink_rate": (60.0, {}),
    "light": (0.3, {}),
    "light_drift": (0.1, {}),
    "light_field": (0.6, {}),
    "person_light": ("monitor", LIT),
    "person_light_share": (0.2, LIT),
    "person_light_depth": (0.05, LIT),
    "person_light_hz": (3.0, LIT),
    "person_light_rhythmic": (1.0, LIT),
    "person_light_tint": ("red", LIT),
    "room_flicker_depth": (0.05, {}),
    "room_flicker_hz": (3.0, {"room_flicker_depth": 0.05}),
    "band_depth": (0.04, {}),
    "band_hz": (3.0, {"band_depth": 0.04}),
    "band_count": (3.0, {"band_depth": 0.04}),
    "auto_exposure": (1.0, LIT),
    "tone_mapping": (0.8, {}),
    "temporal_denoise": (0.7, {}),
    "beauty": (0.8, {}),
    "background": ("blur", {}),
    "mask_error": (0.04, {"background": "virtual", "mask_error": 0.005}),
}


def test_every_condition_is_either_rendered_or_written() -> None:
    assert set(CHANGES) | WRITTEN | {"portrait"} == {field.name for field in fields(Conditions)}


@pytest.mark.parametrize("field", CHANGES)
def test_a_condition_changes_the_frames(field: str) -> None:
    value, context = CHANGES[field]
    before = replace(TINY, **context)
    after = replace(before, **{field: value})
    first, second = rendered(before), rendered(after)
    assert first.shape != second.shape or np.abs(first.astype(int) - second).max() >= 2


def test_a_portrait_is_rendered_as_it_is() -> None:
    assert ASTRONAUT_PORTRAIT.name == ASTRONAUT
    other = np.ascontiguousarray(ASTRONAUT_PORTRAIT.picture()[:, ::-1])
    shot = shot_of(TINY)
    mirrored = next(frames_of(replace(shot, picture=other)))
    assert np.abs(mirrored.astype(int) - next(frames_of(shot))).mean() > 5


def test_the_lights_gains_are_one_on_average() -> None:
    conditions = replace(
        CALM, person_light="window", person_light_share=0.5, person_light_tint="white", light_drift=0.02
    )
    light = light_of(conditions, frame_times(replace(conditions, duration_s=200.0), 90_000))
    assert light.person.mean() == pytest.approx(1, abs=0.02)
    assert light.room.mean() == pytest.approx(1, abs=0.02)


def _wave(conditions: Conditions) -> Floats:
    """Blood volume (n,) that a living person would have."""
    return pulse_of(conditions, None).at(frame_times(conditions, 90_000))
