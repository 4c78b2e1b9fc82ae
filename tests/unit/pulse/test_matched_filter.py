"""Blood in several regions against what else changes their colours."""

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.rppg.estimators.mrc import SIGNATURE
from workers.rppg.fusion.matched_filter import matched_power

FS = 30.0
N = 450
RATES_HZ = np.arange(40, 180, 1.0) / 60
TIMES_S = np.arange(N) / FS


def noise(seed: int, level: float = 1e-3) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, level, (3, 3, N))


def pulse(rate_per_min: float, size: float) -> NDArray[np.float64]:
    """Blood in three regions: the same wave, darker as it rises, in its own proportions."""
    return -size * SIGNATURE[None, :, None] * np.sin(2 * np.pi * rate_per_min / 60 * TIMES_S)[None, None]


def unsteady(rate_per_min: float, seed: int) -> NDArray[np.float64]:
    """A motion about a rate whose period varies, as that of a head does."""
    steps = np.random.default_rng(seed).normal(0, 0.25, N).cumsum() / np.sqrt(FS)
    return np.asarray(np.sin(2 * np.pi * rate_per_min / 60 * TIMES_S + steps))


@pytest.mark.parametrize("level", [1e-5, 1e-3, 0.1])
def test_noise_of_any_strength_has_power_one(level: float) -> None:
    power = np.array([matched_power(noise(seed, level), FS, RATES_HZ) for seed in range(20)])
    assert power.mean() == pytest.approx(1, rel=0.35)


def test_the_power_of_blood_is_highest_at_its_rate() -> None:
    power = matched_power(noise(1) + pulse(77, 5e-4), FS, RATES_HZ)
    assert 60 * RATES_HZ[np.argmax(power)] == pytest.approx(77, abs=1)
    assert power.max() > 10


def test_a_turn_that_darkens_one_cheek_and_brightens_the_other_is_suppressed() -> None:
    turn = np.zeros((3, 3, N))
    turn[1], turn[2] = 0.01 * unsteady(100, 3), -0.01 * unsteady(100, 3)
    power = matched_power(noise(2) + turn + pulse(64, 1e-3), FS, RATES_HZ)
    assert 60 * RATES_HZ[np.argmax(power)] == pytest.approx(64, abs=1)


def test_white_light_that_varies_at_all_rates_is_suppressed() -> None:
    light = np.random.default_rng(4).normal(0, 0.01, N) * np.ones((3, 3, 1))
    power = matched_power(noise(3) + light + pulse(64, 1e-3), FS, RATES_HZ)
    assert 60 * RATES_HZ[np.argmax(power)] == pytest.approx(64, abs=1)


def test_the_brightness_of_a_region_does_not_matter() -> None:
    changes = noise(5) + pulse(90, 1e-3)
    brighter = changes + np.array([0.1, -2.0, 1.0])[:, None, None]
    np.testing.assert_allclose(matched_power(changes, FS, RATES_HZ), matched_power(brighter, FS, RATES_HZ), rtol=1e-6)
