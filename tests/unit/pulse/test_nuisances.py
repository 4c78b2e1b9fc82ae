"""Light on the person and motion of the head are taken out of the skin's colours; a pulse stays."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lab.arrays import Floats
from lab.simulate import pulse_wave
from workers.face.clothes import Clothes
from workers.face.head_motion import AXES, head_motion
from workers.rppg.estimators import green, pos
from workers.rppg.signals.nuisances import in_even_light, without_nuisances
from workers.rppg.signals.spectrum import amplitude, snr_db, spectrum_of
from workers.rppg.signals.traces import Traces

FS, N = 30.0, 450
TIMES = np.arange(N) / FS
SKIN = np.array([[0.4], [0.3], [0.25]])
BLOOD = np.array([[0.43], [1.0], [0.69]])


def traces(face: Floats, clothes: Floats | None = None, head: Floats | None = None) -> Traces:
    rng = np.random.default_rng(9)
    return Traces(
        fs=FS,
        times_s=TIMES,
        regions=np.stack([face] * 4),
        background=np.full((3, N), np.nan),
        motion=np.zeros(N),
        head=np.zeros((6, N)) if head is None else head,
        crops=rng.integers(90, 160, (N, 72, 72, 3)).astype(np.uint8),
        position=np.zeros((2, N)),
        seen=np.ones(N, np.bool_),
        gaps=(),
        frames=N,
        clothes=clothes,
    )


def skin(rate: float = 72.0, noise: float = 0.002, seed: int = 1) -> Floats:
    rng = np.random.default_rng(seed)
    wave = pulse_wave(rate, 15, 15, FS, seed).values
    return SKIN * (1 - 0.01 * BLOOD * wave + noise * rng.standard_normal((3, N)))


def rate_of(wave: Floats) -> float:
    return 60 * spectrum_of(wave, FS).peak_hz()


def snr_at(wave: Floats, rate: float) -> float:
    return snr_db(spectrum_of(wave, FS), rate / 60)


def test_light_on_skin_and_clothes_is_removed_from_the_skin() -> None:
    light = 1 + 0.04 * np.array([[0.8], [1.0], [1.3]]) * np.sin(2 * np.pi * 98 / 60 * TIMES)
    clothes = np.array([[0.1], [0.15], [0.3]]) * light
    clothes = clothes * (1 + 0.001 * np.random.default_rng(4).standard_normal((3, N)))
    lit = traces(skin() * light, clothes)
    assert rate_of(green.estimate(lit)) == pytest.approx(98, abs=1)
    cleaned = without_nuisances(lit)
    for estimator in (green, pos):
        assert rate_of(estimator.estimate(cleaned)) == pytest.approx(72, abs=1)


def test_motion_of_the_head_is_removed_from_the_skin() -> None:
    head = np.zeros((6, N))
    head[AXES.index("pitch")] = 0.05 * np.sin(2 * np.pi * 51 / 60 * TIMES)
    nodding = traces(skin() * np.exp(0.8 * head[5]), head=head)
    assert rate_of(green.estimate(nodding)) == pytest.approx(51, abs=1)
    assert rate_of(green.estimate(without_nuisances(nodding))) == pytest.approx(72, abs=1)


def test_a_head_that_recoils_from_each_beat_does_not_explain_the_pulse() -> None:
    wave = pulse_wave(72, 15, 15, FS, 1).values
    head = 0.0004 * np.array([[0.2], [1.0], [-0.5], [0.1], [-0.3], [0.8]]) * wave
    recoiling = traces(skin(), head=head)
    cleaned = without_nuisances(recoiling)
    for estimator in (green, pos):
        assert rate_of(estimator.estimate(cleaned)) == pytest.approx(72, abs=1)
    assert amplitude(cleaned.face[1] / 0.3, FS, 1.2) > 0.6 * amplitude(recoiling.face[1] / 0.3, FS, 1.2)


def test_quiet_clothes_and_a_resting_head_take_nothing_of_a_pulse() -> None:
    rng = np.random.default_rng(5)
    clothes = 0.2 * (1 + 0.0005 * rng.standard_normal((3, N)))
    head = 0.0005 * np.cumsum(rng.standard_normal((6, N)), axis=1)
    still = traces(skin(noise=0.01), clothes, head)
    before, after = (snr_at(pos.estimate(found), 72) for found in (still, without_nuisances(still)))
    assert after > before - 0.5


def test_clothes_whose_own_noise_exceeds_the_pulse_take_little_of_it() -> None:
    clothes = 0.2 * (1 + 0.05 * np.random.default_rng(6).standard_normal((3, N)))
    still = traces(skin(noise=0.01), clothes)
    before, after = (snr_at(pos.estimate(found), 72) for found in (still, without_nuisances(still)))
    assert after > before - 1.0


def test_a_background_that_never_changes_has_no_effect() -> None:
    found = traces(skin())
    virtual = replace(found, background=np.full((3, N), 0.3))
    assert np.allclose(without_nuisances(virtual).regions, without_nuisances(found).regions)


def picture() -> NDArray[np.float32]:
    rng = np.random.default_rng(2)
    rough = cv2.GaussianBlur(rng.standard_normal((144, 144)).astype(np.float32), (0, 0), 6)
    return np.asarray(120 + 300 * rough, np.float32)


def crops_of(across: Floats, down: Floats, gain: Floats, roll: Floats) -> NDArray[np.uint8]:
    source = picture()
    frames = []
    for x, y, level, angle in zip(across, down, gain, roll, strict=True):
        matrix = cv2.getRotationMatrix2D((72, 72), -float(np.degrees(angle)), 1.0)
        matrix[:, 2] += (72 * x, 72 * y)
        moved = cv2.warpAffine(source, matrix, (144, 144), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        frames.append(np.clip(level * moved[36:108, 36:108], 0, 255))
    return np.repeat(np.rint(np.array(frames))[..., None], 3, axis=3).astype(np.uint8)


def motion_of(crops: NDArray[np.uint8]) -> Floats:
    return head_motion(crops).T


def test_a_nod_far_faster_than_the_mesh_is_measured() -> None:
    nod = 0.01 * np.sin(2 * np.pi * 2.7 * TIMES)
    zero, one = np.zeros(N), np.ones(N)
    found = motion_of(crops_of(zero, nod, one, zero))
    # Part of a shift of a rounded face is explained as its turn.
    vertical = found[AXES.index("down")] + 0.6 * found[AXES.index("pitch")]
    assert rate_of(found[AXES.index("down")]) == pytest.approx(2.7 * 60, abs=1)
    assert np.corrcoef(vertical, nod)[0, 1] > 0.98
    assert np.abs(found[AXES.index("across")]).std() < 0.2 * np.abs(found[AXES.index("down")]).std()


def test_a_roll_is_a_roll() -> None:
    roll = 0.03 * np.sin(2 * np.pi * 1.2 * TIMES)
    zero = np.zeros(N)
    found = motion_of(crops_of(zero, zero, np.ones(N), roll))
    row = found[AXES.index("roll")]
    assert abs(np.corrcoef(row, roll)[0, 1]) > 0.99
    assert np.ptp(row) == pytest.approx(np.ptp(roll), rel=0.25)


def test_light_that_varies_is_no_motion() -> None:
    zero = np.zeros(N)
    light = 1 + 0.02 * np.sin(2 * np.pi * 1.5 * TIMES)
    assert np.abs(motion_of(crops_of(zero, zero, light, zero))).max() < 2e-3


def test_a_box_that_was_placed_anew_is_no_motion() -> None:
    zero = np.zeros(N)
    jump = 0.002 * np.sin(2 * np.pi * 1.1 * TIMES) + 0.12 * (TIMES > 7)
    assert np.ptp(motion_of(crops_of(zero, jump, np.ones(N), zero))) < 0.02


def test_clothes_are_looked_for_below_the_neck() -> None:
    mesh = np.zeros((478, 2), np.float32)
    angle = np.linspace(0, 2 * np.pi, 478)
    mesh[:] = np.stack((320 + 60 * np.cos(angle), 160 + 80 * np.sin(angle)), axis=1)
    frame = np.zeros((480, 640, 3), np.uint8)
    frame[300:] = (0, 188, 0)
    clothes = Clothes()
    clothes.follow((640, 480), mesh)
    assert clothes.colour(frame)[1] == pytest.approx(0.5, abs=0.05)


def test_a_face_that_fills_the_picture_shows_no_clothes() -> None:
    mesh = np.zeros((478, 2), np.float32)
    angle = np.linspace(0, 2 * np.pi, 478)
    mesh[:] = np.stack((320 + 150 * np.cos(angle), 260 + 200 * np.sin(angle)), axis=1)
    clothes = Clothes()
    clothes.follow((640, 480), mesh)
    assert np.isnan(clothes.colour(np.zeros((480, 640, 3), np.uint8))).all()


def test_light_is_removed_from_crops_as_well() -> None:
    light = 1 + 0.05 * np.sin(2 * np.pi * 98 / 60 * TIMES) * np.ones((3, 1))
    face = traces(skin() * light, np.full((3, N), 0.2) * light)
    crops = np.clip(face.crops * light.T[:, None, None, :] ** (1 / 2.2), 0, 255).astype(np.uint8)
    lit = replace(face, crops=crops)
    even = in_even_light(lit, without_nuisances(lit))
    before, after = (found.crops[..., 1].mean(axis=(1, 2)) for found in (lit, even))
    assert amplitude(after / after.mean(), FS, 98 / 60) < 0.2 * amplitude(before / before.mean(), FS, 98 / 60)
