"""The gate is fitted to clips whose pulse is known, and never learns that evidence of a pulse speaks against one."""

import numpy as np

from lab.calibrate.gate import regression
from workers.rppg.calibration import CALIBRATION


def test_a_regression_finds_what_speaks_for_a_pulse() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(400), rng.normal(size=(400, 2))])
    y = (x[:, 1] + 0.5 * rng.normal(size=400) > 0).astype(np.float64)
    constant, told, nothing = regression(x, y)
    assert abs(constant) < 0.5
    assert told > 2
    assert nothing < 0.5


def test_nothing_is_weighed_against_a_pulse() -> None:
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(400), rng.normal(size=(400, 2))])
    y = (x[:, 1] - x[:, 2] > 0).astype(np.float64)
    _, told, against = regression(x, y)
    assert told > 0
    assert against == 0


def test_the_gate_of_networks_weighs_nothing_against_a_pulse() -> None:
    model = CALIBRATION.gate.presence
    weights = (model.snr_db, model.neural_snr_db, model.signal_snr_db, model.line_db, model.log_odds_of_confidence)
    assert min(*weights, model.region_correlation, model.halves_coherence, model.halves_agreeing) >= 0
    assert min(model.halves_coherence, model.halves_agreeing) > 0
