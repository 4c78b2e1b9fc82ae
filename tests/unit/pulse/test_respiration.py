"""Respiration is estimated from signals that move with it, and not from noise."""

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.face.chest_patches import EMPTY_TORSO, Torso, TorsoCollector
from workers.rppg.signals.chest_motion import block_flow, chest_position
from workers.rppg.vitals.breathing import RATES_PER_MIN, explained_share, fuse, modulations
from workers.rppg.vitals.respiration_rate import breathing_of_chest, refusal

FS = 7.5
TIMES = np.arange(round(15 * FS)) / FS


def _breath(rate: float, noise: float = 0.2, seed: int = 0) -> NDArray[np.float64]:
    wave = np.sin(2 * np.pi * rate / 60 * TIMES + 0.7) + noise * np.random.default_rng(seed).normal(size=len(TIMES))
    return np.asarray(wave, np.float64)


@pytest.mark.parametrize("rate", [8.0, 12.0, 18.0, 24.0, 30.0])
def test_one_clear_signal_is_enough(rate: float) -> None:
    breathing = fuse({"chest": (_breath(rate), FS)})
    assert breathing.rate_per_min == pytest.approx(rate, abs=1)
    assert refusal(breathing) is None
    assert breathing.quantile(0.02) <= rate <= breathing.quantile(0.98)


@pytest.mark.parametrize("rate", [2.5, 3.3, 45.5, 46.0])
def test_breathing_slower_or_faster_than_the_range_is_not_reported_as_its_edge(rate: float) -> None:
    times = np.arange(round(30 * FS)) / FS
    wave = np.sin(2 * np.pi * rate / 60 * times + 0.7)
    breathing = fuse({"chest": (wave, FS), "head": (wave, FS)})
    assert breathing.at_edge
    assert breathing.confidence > 0.9
    assert "at the edge of the range 4 to 45 /min" in str(refusal(breathing))
    assert breathing_of_chest(0.02 * wave, 0.005 * wave, FS) is None


def test_signals_that_agree_outvote_one_that_does_not() -> None:
    signals = {"chest": (_breath(14, 0.5), FS), "head": (_breath(27, 0.5), FS), "baseline": (_breath(14.3, 0.5, 3), FS)}
    breathing = fuse(signals)
    assert breathing.rate_per_min == pytest.approx(14, abs=1)
    assert set(breathing.agreeing) == {"chest", "baseline"}


@pytest.mark.parametrize("kind", ["white", "walk"])
def test_noise_rarely_gives_a_respiration_rate(kind: str) -> None:
    rng = np.random.default_rng(0)
    reported = 0
    for _ in range(60):
        noise = rng.normal(size=(4, len(TIMES)))
        noise = noise.cumsum(axis=-1) if kind == "walk" else noise
        signals = {
            name: (wave, FS) for name, wave in zip(("chest", "head", "baseline", "frequency"), noise, strict=True)
        }
        reported += refusal(fuse(signals)) is None
    assert reported <= 4


def test_a_constant_signal_has_no_spectrum() -> None:
    assert (explained_share(np.zeros(100), FS) == 0).all()
    with pytest.raises(ValueError, match="no signal"):
        fuse({})


def test_breathing_modulates_the_pulses_baseline_amplitude_and_frequency() -> None:
    times = np.arange(30 * 32) / 30
    breath = 2 * np.pi * 0.25 * times
    phase = 2 * np.pi * 1.2 * times - 0.4 * np.cos(breath)
    wave = (1 + 0.2 * np.sin(breath)) * np.sin(phase)
    raw = wave + 0.3 * np.sin(breath)
    for name, signal in modulations(wave, raw, 30.0, 72.0).items():
        assert RATES_PER_MIN[np.argmax(explained_share(signal, FS))] == pytest.approx(15, abs=1), name


def _torso(rise_pixels: NDArray[np.float64]) -> Torso:
    """Patches (m, 40, 80) of stripes and noise that move down by `rise_pixels`."""
    rng = np.random.default_rng(0)
    rows = np.arange(40)[:, None]
    patches = [
        120 + 60 * np.sin(2 * np.pi * (rows - shift) / 13) + np.zeros((1, 80)) + 2 * rng.normal(size=(40, 80))
        for shift in rise_pixels
    ]
    return Torso(TIMES, np.clip(patches, 0, 255).astype(np.uint8), 40.0)


def test_block_flow_follows_subpixel_motion() -> None:
    shift = 0.6 * np.sin(2 * np.pi * 0.25 * TIMES)
    followed = np.cumsum(block_flow(_torso(shift).patches), axis=0).mean(axis=1)
    assert np.corrcoef(followed, shift)[0, 1] > 0.98
    assert followed.std() == pytest.approx(shift.std(), rel=0.2)


def test_a_chest_that_rises_and_falls_gives_its_rate() -> None:
    position = chest_position(_torso(0.5 * np.sin(2 * np.pi * 0.3 * TIMES)), TIMES)
    assert position is not None
    assert RATES_PER_MIN[np.argmax(explained_share(position, FS))] == pytest.approx(18, abs=0.7)


def _collected(shake_hz: float, fps: float) -> Torso:
    """The torso of someone who breathes 15 times a minute before a camera that shakes by two pixels."""
    collector = TorsoCollector()
    mesh = np.tile(np.array([[120.0, 20.0], [200.0, 110.0]], np.float32), (239, 1))
    rows = np.arange(240)[:, None]
    for time_s in np.arange(round(15 * fps)) / fps:
        shift = 1.5 * np.sin(2 * np.pi * 0.25 * time_s) + 2 * np.sin(2 * np.pi * shake_hz * time_s)
        stripes = 120 + 60 * np.sin(2 * np.pi * (rows - shift) / 40) + 30 * np.sin(2 * np.pi * (rows - shift) / 27)
        picture = np.repeat(np.repeat(stripes, 320, axis=1)[..., None], 3, axis=2)
        collector.add(float(time_s), picture.astype(np.uint8), mesh)
    return collector.finish()


@pytest.mark.parametrize("fps", [15.0, 24.0, 30.0, 60.0])
@pytest.mark.parametrize("shake_hz", [0.0, 5.65, 6.3, 6.6])
def test_a_camera_that_shakes_near_the_rate_of_the_patches_moves_no_chest(shake_hz: float, fps: float) -> None:
    torso = _collected(shake_hz, fps)
    assert np.diff(torso.times_s) == pytest.approx(1 / 6, abs=1.1 / fps)
    times = np.arange(450) / 30
    position = chest_position(torso, times)
    assert position is not None
    assert RATES_PER_MIN[np.argmax(explained_share(position, 30.0))] == pytest.approx(15, abs=1)


def test_without_a_torso_there_is_no_chest_motion() -> None:
    assert chest_position(EMPTY_TORSO, TIMES) is None
    blank = Torso(TIMES, np.full((len(TIMES), 40, 80), 90, np.uint8), 40.0)
    assert chest_position(blank, TIMES) is None


def test_chest_motion_alone_gives_a_rate_but_not_for_a_picture() -> None:
    times = np.arange(450) / 30
    breath = np.sin(2 * np.pi * 0.25 * times)
    rng = np.random.default_rng(0)
    chest = 0.011 * breath + 0.0005 * rng.normal(size=450)
    head = 0.004 * np.sin(2 * np.pi * 0.25 * times + 0.5) + 0.0005 * rng.normal(size=450)
    breathing = breathing_of_chest(chest, head, 30.0)
    assert breathing is not None
    assert breathing.rate_per_min == pytest.approx(15, abs=0.5)
    assert breathing_of_chest(0.05 * chest, 0.05 * head, 30.0) is None, "the chest of a picture hardly moves"
    assert breathing_of_chest(50 * chest, 50 * head, 30.0) is None, "the chest of a waved picture moves too far"
    assert breathing_of_chest(chest, chest + 0.0005 * rng.normal(size=450), 30.0) is None, (
        "the chest of a hand-held picture moves with its head"
    )
    assert breathing_of_chest(0.011 * rng.normal(size=450), head, 30.0) is None, "trembling is not respiration"
