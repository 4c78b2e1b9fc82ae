"""Estimators vote on the rate, weighted by their reliability."""

import numpy as np
import pytest

from workers.rppg.fusion.agreement import FUSION, RATES_PER_MIN, Estimate, agree, belief, consistent_across_halves
from workers.rppg.fusion.gate import GATE
from workers.rppg.vitals.heart_rate import INTERVAL

_WHOLE_AND_HALVES = ((0.0, None), (-0.8, "left"), (0.9, "right"))
FIVE = ("pos", "chrom", "green", "physnet", "tscan")


def _estimates(*rates: float) -> list[Estimate]:
    return [Estimate(name, rate, 0.0) for name, rate in zip(FIVE, rates, strict=False)]


def test_the_rate_is_the_median_of_the_estimates_that_agree() -> None:
    agreement = agree(_estimates(72, 73, 48, 72.4, 110), FUSION)
    assert agreement.rate_per_min == pytest.approx(72.4)
    assert set(agreement.members) == {"pos", "chrom", "physnet"}
    assert agreement.support == 3


def test_more_votes_make_more_confidence() -> None:
    confidence = [
        agree(_estimates(*rates), FUSION).confidence
        for rates in ((80, 120, 47, 61, 95), (80, 80.5, 47, 61, 95), (80, 80.5, 47, 61, 80.2), (80, 80.5, 79.8, 80, 80))
    ]
    assert confidence == sorted(confidence)
    assert confidence[0] < 0.5
    assert confidence[-1] > 0.98


def test_agreement_at_the_low_end_gives_less_confidence() -> None:
    low = agree(_estimates(44, 43, 42, 88, 88.5), FUSION)
    high = agree(_estimates(88, 88.5, 88.2, 43, 42), FUSION)
    assert high.confidence > low.confidence


def test_belief_sums_to_one() -> None:
    probability = belief(_estimates(60, 61, 62, 140, 45), FUSION)
    assert probability.shape == RATES_PER_MIN.shape
    assert probability.sum() == pytest.approx(1)
    assert (probability >= 0).all()


def test_the_order_of_estimates_does_not_matter() -> None:
    estimates = _estimates(60, 63, 64.5, 90, 91)
    shuffled = [estimates[index] for index in np.random.default_rng(1).permutation(5)]
    assert np.allclose(belief(shuffled, FUSION), belief(estimates, FUSION))
    assert agree(shuffled, FUSION).members == agree(estimates, FUSION).members


def test_the_interval_widens_with_disagreement_motion_and_short_clips() -> None:
    sure, unsure = agree(_estimates(72, 72, 72, 72, 72), FUSION), agree(_estimates(72, 74, 73, 48, 71), FUSION)
    width = INTERVAL.half_width_per_min
    assert width(sure, 15, 1) < width(unsure, 15, 1)
    assert width(sure, 15, 1) < width(sure, 6, 1)
    assert width(sure, 15, 1) < width(sure, 15, 4)


def test_the_interval_depends_on_the_nearest_estimates_and_not_on_outliers() -> None:
    width = INTERVAL.half_width_per_min
    two_lost = agree(_estimates(72, 72.2, 48, 110, 71.9), FUSION)
    scattered = agree(_estimates(72, 74.5, 69.5, 48, 110), FUSION)
    assert two_lost.near_per_min == pytest.approx(0.1)
    assert scattered.near_per_min == pytest.approx(5 / 3)
    assert width(two_lost, 15, 1) < width(scattered, 15, 1)


def test_entropy_is_the_logarithm_of_the_number_of_likely_rates() -> None:
    assert agree(_estimates(72, 72, 72, 72, 72), FUSION).entropy < np.log(20)
    assert agree(_estimates(50, 90, 130, 170, 110), FUSION).entropy > np.log(100)


def test_an_estimate_of_a_part_of_the_face_votes_and_does_not_count_as_an_estimator() -> None:
    plain = [Estimate("pos", 72, 0.0), Estimate("green", 110, 0.0), Estimate("deepphys", 80, 0.0, neural=True)]
    halves = [Estimate("deepphys", rate, 0.0, neural=True, part=part) for rate, part in ((79, "left"), (80.4, "right"))]
    without, with_halves = agree(plain, FUSION), agree([*plain, *halves], FUSION)
    assert with_halves.confidence > without.confidence
    assert with_halves.members == ("deepphys",)
    assert with_halves.rate_per_min == 80
    assert (without.parts, with_halves.parts) == (0, 2)
    assert with_halves.near_per_min == pytest.approx((0 + 8 + 30) / 3)


def test_a_network_consistent_across_halves_outweighs_estimators_that_fail_together() -> None:
    lost = [Estimate(name, rate, 0.0) for name, rate in (("pos", 65), ("chrom", 65.4), ("omit", 64.8), ("green", 90))]
    for rate in (80.0, 126.0, 150.0):
        step = [Estimate("deepphys", rate + of, 0.0, neural=True, part=part) for of, part in _WHOLE_AND_HALVES]
        apart = [*step[:2], Estimate("deepphys", 47.0, 0.0, neural=True, part="right")]
        assert consistent_across_halves([*lost, *step]) == {"deepphys": rate}
        assert consistent_across_halves([*lost, *apart]) == {}
        near = np.abs(RATES_PER_MIN - rate) <= 3
        assert belief([*lost, *step], FUSION)[near].sum() > 3 * belief([*lost, *apart], FUSION)[near].sum()
    assert agree([*lost[:2], lost[3], *step], FUSION).rate_per_min == pytest.approx(150, abs=1)


def test_a_half_with_the_second_harmonic_supports_the_rate_and_one_with_half_the_rate_does_not() -> None:
    def halves_of(left: float, right: float) -> int:
        parts = [Estimate("deepphys", rate, 0.0, True, part) for rate, part in ((left, "left"), (right, "right"))]
        return agree([*_estimates(45, 45.2, 44.8, 45, 45), Estimate("deepphys", 45.0, 0.0, True), *parts], FUSION).parts

    assert halves_of(45.5, 44.0) == 2
    assert halves_of(45.5, 89.0) == 2
    assert halves_of(45.5, 70.0) == 1
    high = [Estimate("deepphys", 90.0, 0.0, True, part) for part in (None, "left")]
    low = Estimate("deepphys", 45.0, 0.0, True, "right")
    assert agree([*_estimates(90, 90.2, 89.8, 90, 90), *high, low], FUSION).parts == 1


def test_rates_outside_of_rest_are_confident_if_estimators_agree() -> None:
    for rate in (45.0, 110.0, 150.0, 175.0):
        agreement = agree(_estimates(rate, rate + 0.5, rate - 0.4, rate, rate), FUSION)
        assert agreement.rate_per_min == pytest.approx(rate, abs=0.5)
        assert agreement.confidence > GATE.stop_confidence


def test_no_estimate_is_an_error() -> None:
    with pytest.raises(ValueError, match="no estimate"):
        agree([], FUSION)


def test_an_estimator_without_calibration_has_no_vote() -> None:
    calibrated = _estimates(72, 73, 48, 72.4, 110)
    unknown = [Estimate("new", 110.0, 20.0), Estimate("new", 110.0, 20.0, part="left")]
    assert agree([*calibrated, *unknown], FUSION) == agree(calibrated, FUSION)


def test_without_a_vote_the_rate_is_the_median_and_the_confidence_that_of_the_prior() -> None:
    agreement = agree([Estimate("new", 100.0, 20.0), Estimate("newer", 104.0, 20.0)], FUSION)
    assert agreement.rate_per_min == pytest.approx(102)
    assert agreement.members == ()
    near = np.abs(RATES_PER_MIN - 102) <= 5
    assert agreement.confidence == pytest.approx(belief([], FUSION)[near].sum())
    assert agreement.confidence < 0.1
