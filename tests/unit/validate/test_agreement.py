"""The numbers of a report, against numbers made by hand."""

import math
from typing import Any

import numpy as np
import pytest

from lab.validate.agreement import (
    bootstrap_mean,
    errors_of,
    limits_of_agreement,
    risk_coverage,
    upper_bound,
)
from lab.validate.figures import Sample, all_figures, figures, genders, samples


def test_errors_of_four_values() -> None:
    found = errors_of(np.array([70.0, 82.0, 65.0, 61.0]), np.array([71.0, 80.0, 60.0, 51.0]), ["a", "b", "c", "d"], 5)
    assert found is not None
    assert (found.n, found.mae) == (4, 4.5)
    assert found.rmse == pytest.approx(math.sqrt(130 / 4))
    assert (found.within, found.wrong) == (0.75, 1), "an error of the tolerance itself is not wrong"
    assert found.bias == 4.0
    deviation = math.sqrt(((-1 - 4) ** 2 + (2 - 4) ** 2 + (5 - 4) ** 2 + (10 - 4) ** 2) / 3)
    assert found.limits == pytest.approx((4 - 1.96 * deviation, 4 + 1.96 * deviation))
    assert found.pearson == pytest.approx(np.corrcoef([70, 82, 65, 61], [71, 80, 60, 51])[0, 1])
    assert errors_of(np.array([]), np.array([]), [], 5) is None
    single = errors_of(np.array([70.0]), np.array([71.0]), ["a"], 5)
    assert single is not None
    assert (single.mae_interval, single.limits, single.pearson) == (None, None, None)


def test_the_bound_of_a_share_is_that_of_clopper_and_pearson() -> None:
    assert upper_bound(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    # P(at most 2 of 20) is 5 % at this share.
    share = upper_bound(2, 20)
    assert sum(math.comb(20, k) * share**k * (1 - share) ** (20 - k) for k in range(3)) == pytest.approx(0.05)
    assert upper_bound(3, 3) == 1.0


def test_limits_of_agreement_add_the_variance_between_people_and_within_them() -> None:
    # Two people with three errors each: means 1 and 3, variance within 1, so the analysis of variance gives
    # between = 3 · 2 = 6 and (6 - 1) / 3 for people.
    errors = np.array([0.0, 1.0, 2.0, 2.0, 3.0, 4.0])
    spread = 1.96 * math.sqrt(1 + 5 / 3)
    assert limits_of_agreement(errors, list("aaabbb")) == pytest.approx((2 - spread, 2 + spread))
    # People that differ by less than their own values do not narrow them.
    alike = limits_of_agreement(np.array([0.0, 2.0, 0.0, 2.0]), list("aabb"))
    assert alike == pytest.approx((1 - 1.96 * math.sqrt(2), 1 + 1.96 * math.sqrt(2)))
    assert limits_of_agreement(np.array([1.0, 3.0]), ["a", "a"]) == pytest.approx(
        (2 - 1.96 * math.sqrt(2), 2 + 1.96 * math.sqrt(2))
    )


def test_windows_of_one_person_count_as_one_in_the_interval_of_the_error() -> None:
    rng = np.random.default_rng(3)
    person = rng.exponential(2, 12)
    values = np.repeat(person, 10)
    together = bootstrap_mean(values, [str(index // 10) for index in range(120)])
    as_if_independent = bootstrap_mean(values, [str(index) for index in range(120)])
    assert together is not None
    assert as_if_independent is not None
    assert together[0] < values.mean() < together[1]
    assert together[1] - together[0] > 2.5 * (as_if_independent[1] - as_if_independent[0])
    assert bootstrap_mean(values, ["a"] * 120) is None


def test_risk_is_that_of_the_surest_windows() -> None:
    confidence = np.array([1.0, 5.0, 3.0, -np.inf])
    curve = risk_coverage(confidence, np.array([9.0, 1.0, 2.0, np.inf]), 5)
    assert curve == [
        {"coverage": 0.25, "wrong": 0.0, "mae": 1.0},
        {"coverage": 0.5, "wrong": 0.0, "mae": 1.5},
        {"coverage": 0.75, "wrong": pytest.approx(1 / 3), "mae": 4.0},
    ]
    assert risk_coverage(np.array([-np.inf]), np.array([np.inf]), 5) == []
    many = risk_coverage(np.arange(500.0), np.ones(500), 5)
    assert len(many) == 100
    assert many[-1]["coverage"] == 1.0


def test_figures_count_the_refused_and_their_reasons() -> None:
    found = figures(
        [
            Sample("a", 70, 71.0, (69.0, 72.0), None),
            Sample("a", 72, 80.0, (79.0, 81.0), None),
            Sample("b", 90, None, None, "no_pulse"),
            Sample("c", 60, None, None, "no_pulse"),
            Sample("c", 61, None, None, "motion"),
        ],
        5,
    )
    assert (found["n"], found["reported"], found["refused"], found["coverage"]) == (5, 2, 3, 0.4)
    assert found["reasons"] == {"no_pulse": 2, "motion": 1}
    assert (found["errors"]["mae"], found["errors"]["wrong"]) == (4.5, 1)
    assert (found["interval"]["coverage"], found["interval"]["median_width"]) == (0.5, 2.5)
    assert found["baseline"]["constant"] == 70
    assert found["baseline"]["mae_all"] == pytest.approx((0 + 2 + 20 + 10 + 9) / 5)
    assert found["baseline"]["mae_reported"] == 1.0
    nothing = figures([Sample("b", 90, None, None, "no_pulse")], 5)
    assert (nothing["errors"], nothing["interval"], nothing["coverage"]) == (None, None, 0)


def row(file: str, start_s: float = 0.0, **other: Any) -> dict[str, Any]:  # noqa: ANN401
    """A row of a window in which the heart rate is 70 of 71."""
    vitals = {"heart_rate": {"value": 70.0, "interval": [69, 71], "status": "ok"}, **other.pop("vitals", {})}
    return {
        "kind": "window",
        "file": file,
        "subject": file,
        "condition": None,
        "person": {},
        "start_s": start_s,
        "reference": {"heart_rate": 71.0},
        "candidate": {"heart_rate": 70.0, "pulse_log_odds": 5.0},
        "vitals": vitals,
        **other,
    }


def test_age_and_gender_are_counted_once_for_each_recording() -> None:
    refused = {"age": {"status": "abstained", "reason": "no_face"}, "gender": {"status": "abstained"}}
    seen = {"age": {"value": 31.0, "interval": [20, 40]}, "gender": {"value": "female"}}
    person = {"age": 34, "gender": "female"}
    rows = [
        row("a", 0.0, vitals=refused, person=person),
        row("a", 15.0, vitals=seen, person=person),
        row("a", 30.0, person=person),
        row("b", 0.0, vitals=refused, person={"age": 50, "gender": "female"}),
        row("c", 0.0, vitals={"gender": {"value": "female"}, "age": {"value": 30.0}}, person={"gender": "male"}),
    ]
    assert [(each.value, each.reference) for each in samples(rows, "age")] == [(31.0, 34), (None, 50)]
    found = genders(rows)
    assert {sex: (each["n"], each["refused"], each["right"]) for sex, each in found.items()} == {
        "female": (2, 1, 1),
        "male": (1, 0, 0),
    }


def test_groups_are_those_that_are_known() -> None:
    rows = [
        row("a", condition="rest", person={"skin_type": 5}),
        row("b", condition="rest", person={"skin_type": 2}, reference={"heart_rate": 80.0}),
        row("c", reference={"heart_rate": None}),
    ]
    found = all_figures(rows)
    assert (found["windows"], found["subjects"], found["without_heart_rate_reference"]) == (3, 3, 1)
    assert {name: list(group) for name, group in found["heart_rate_by"].items()} == {
        "skin type": ["2", "5"],
        "condition": ["rest"],
    }
    assert found["heart_rate_by"]["skin type"]["2"]["errors"]["wrong"] == 1
    assert found["heart_rate_by"]["condition"]["rest"]["errors"]["mae"] == 5.5
    assert set(found["vitals"]) == {"heart_rate"}
    assert len(found["risk_coverage"]) == 2
