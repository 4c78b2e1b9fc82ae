"""A 90 % interval has a coverage of 90 % on people to whom it was not fitted."""

from pathlib import Path

import numpy as np
import pytest

from lab.calibrate.fit import fit_interval, quantile_regression
from lab.calibrate.held_out import resampled
from lab.calibrate.table import RealClip, read_table
from workers.rppg.fusion.agreement import FUSION, Estimate, agree
from workers.rppg.fusion.gate import GATE
from workers.rppg.vitals.heart_rate import INTERVAL, IntervalModel, interval_features

TABLE = Path(__file__).parents[4] / "shared" / "data" / "hr_estimator_agreement.csv"


def test_quantile_regression_keeps_the_requested_share_below() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, 2000)
    target = 1 + 2 * x + (0.5 + x) * rng.exponential(size=2000)
    rows = np.column_stack((np.ones(2000), x))
    level, slope = quantile_regression(rows, target, np.full(2000, 1 / 2000), 0.9)
    assert (target <= level + slope * x).mean() == pytest.approx(0.9, abs=0.002)
    # The true 90 % quantile of an exponential is log(10) times its scale.
    assert level == pytest.approx(1 + 0.5 * np.log(10), abs=0.25)
    assert slope == pytest.approx(2 + np.log(10), abs=0.5)


def _clips(people: int, seed: int) -> list[RealClip]:
    """Three clips per person with the same error in each, because people differ more than clips."""
    rng = np.random.default_rng(seed)
    clips = []
    for person in range(people):
        off = rng.laplace(scale=0.4)
        for _ in range(3):
            rate = rng.uniform(55, 100)
            estimated = rate + off + rng.normal(scale=0.1, size=5)
            names = ("pos", "chrom", "green", "deepphys", "mttscan")
            estimates = tuple(Estimate(name, float(value), 0.0) for name, value in zip(names, estimated, strict=True))
            clips.append(RealClip("made", str(person), 15.0, 2, rng.uniform(0.5, 3), float(rate), estimates))
    return clips


def _held(model: IntervalModel, clips: list[RealClip]) -> float:
    agreed = [agree(clip.estimates, FUSION) for clip in clips]
    return float(
        np.mean(
            [
                abs(agreement.rate_per_min - clip.rate_per_min)
                <= model.half_width_per_min(agreement, clip.duration_s, clip.movement)
                for agreement, clip in zip(agreed, clips, strict=True)
            ]
        )
    )


def test_an_interval_fitted_to_few_people_holds_on_others() -> None:
    others = _clips(150, seed=99)
    conformal, plain = [], []
    for seed in range(6):
        clips = _clips(24, seed)
        agreed = [agree(clip.estimates, FUSION) for clip in clips]
        errors = np.array([a.rate_per_min - clip.rate_per_min for a, clip in zip(agreed, clips, strict=True)])
        conformal.append(_held(fit_interval(agreed, clips, errors, 0.9), others))
        rows = np.array(
            [interval_features(a, clip.duration_s, clip.movement) for a, clip in zip(agreed, clips, strict=True)]
        )
        target = np.log(np.abs(errors) + 0.05)
        weights = np.full(len(rows), 1 / len(rows))
        plain.append(_held(IntervalModel(*quantile_regression(rows, target, weights, 0.9)), others))
    assert np.mean(conformal) > 0.87
    assert np.mean(conformal) > np.mean(plain) + 0.02


def test_the_interval_of_a_share_is_wider_for_few_people() -> None:
    rng = np.random.default_rng(1)

    def width(people: int) -> float:
        subjects = [str(person) for person in range(people) for _ in range(2)]
        inside = (rng.uniform(size=2 * people) < 0.9).astype(np.float64)
        low, high = resampled(inside, np.ones(2 * people), subjects)
        assert low <= inside.mean() <= high
        return high - low

    assert width(40) > 2 * width(1000)


def test_the_shipped_interval_holds_on_the_table_it_was_fitted_to() -> None:
    if not TABLE.exists():
        pytest.skip(f"no published answers on real clips: {TABLE} is absent")
    clips = [clip for clip in read_table(TABLE) if agree(clip.estimates, FUSION).confidence >= GATE.min_confidence]
    for dataset in ("vv_medium", "vv_africa", "prosit"):
        assert 0.87 <= _held(INTERVAL, [clip for clip in clips if clip.dataset == dataset]) <= 0.95
