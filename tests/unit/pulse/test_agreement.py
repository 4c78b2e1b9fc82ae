"""The largest group that agrees decides."""

import numpy as np
import pytest

from workers.rppg.agreement import Estimate, agree


def _estimates(*rates: float, snr_db: float = 0.0) -> list[Estimate]:
    return [Estimate(f"e{index}", rate, snr_db) for index, rate in enumerate(rates)]


def test_the_median_of_the_largest_group_is_the_rate() -> None:
    agreement = agree(_estimates(72, 73, 48, 72.4, 110))
    assert agreement.rate_per_min == pytest.approx(72.4)
    assert agreement.members == ("e0", "e3", "e1")


def test_of_equal_groups_the_clearer_one_wins() -> None:
    estimates = [Estimate("a", 50, -6), Estimate("b", 51, -5), Estimate("c", 80, 3), Estimate("d", 82, 4)]
    assert set(agree(estimates).members) == {"c", "d"}


def test_order_does_not_matter() -> None:
    estimates = _estimates(60, 63, 64.5, 90, 91)
    shuffled = [estimates[index] for index in np.random.default_rng(1).permutation(5)]
    assert agree(shuffled) == agree(estimates)


def test_nobody_asked_is_an_error() -> None:
    with pytest.raises(ValueError, match="no estimate"):
        agree([])
