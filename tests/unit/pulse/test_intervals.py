"""A 90 % interval has a coverage of 90 % on people to whom it was not fitted."""

import json
from importlib.resources import files

import numpy as np
import pytest

from lab.calibrate.quantiles import quantile_regression
from lab.calibrate.verdict import fit_interval, left_out_by_people
from tests.unit.pulse.test_verdict import made_examples


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


def test_an_interval_fitted_to_some_people_holds_on_others() -> None:
    judged = [one for one in left_out_by_people(made_examples(240)) if one.verdict.belief > 0.5 and not one.wrong]
    model, width = fit_interval(judged)
    assert width["held"]["clips"] == pytest.approx(0.9, abs=0.01)
    weights = np.array([model.level, model.shortness, model.spread])
    half = np.exp([one.interval_features() @ weights for one in judged])
    assert np.mean([one.error_per_min for one in judged] <= half) >= 0.9


def test_the_shipped_interval_holds_on_people_who_were_left_out() -> None:
    document = json.loads((files("workers.rppg.fusion") / "calibration.json").read_text("utf-8"))
    held = document["verdict_made_by"]["report"]["intervals, left out by people"]["held"]
    assert held["clips"] == pytest.approx(0.9, abs=0.04)
    assert held["cuts"] == pytest.approx(0.9, abs=0.06)
