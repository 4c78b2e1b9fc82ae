"""Estimators against a recorded pulse, with the usual measures."""

from pathlib import Path

import numpy as np
import pytest

from lab.train.deepphys.evaluate import Evaluation, bland_altman, estimators_of, macc, report_of
from tests.unit.data.layouts import pulse_at
from workers.rppg.signals.filters import standardise


def test_errors_have_their_usual_definitions(tmp_path: Path) -> None:
    found = [
        Evaluation("green", str(index), rate, true, 3.0, 0.8)
        for index, (rate, true) in enumerate([(60.0, 60.0), (84.0, 80.0), (97.0, 100.0)])
    ]
    figures = report_of(found).summary["green"]
    assert figures["mae"] == pytest.approx(7 / 3, abs=1e-3)
    assert figures["rmse"] == pytest.approx((25 / 3) ** 0.5, abs=1e-3)
    assert figures["mape"] == pytest.approx((0 + 5 + 3) / 3, abs=1e-3)
    assert figures["pearson"] == pytest.approx(np.corrcoef([60, 84, 97], [60, 80, 100])[0, 1], abs=1e-3)
    assert bland_altman(found, tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_macc_is_invariant_to_delay() -> None:
    times = np.arange(300) / 30
    true = standardise(pulse_at(times, 72.0))
    assert macc(standardise(pulse_at(times - 0.2, 72.0)), true) == pytest.approx(1, abs=0.01)
    rng = np.random.default_rng(0)
    assert macc(standardise(rng.normal(size=300)), true) < 0.4


def test_an_unknown_estimator_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="oracle"):
        estimators_of(("oracle",), None, tmp_path)
