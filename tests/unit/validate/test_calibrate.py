"""A calibration is fitted to twenty people or more, judged on people held out, and never makes the verdict lenient."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from facevitals.cli.app import app
from lab.calibrate import recalibration
from lab.calibrate.recalibration import (
    MAX_LENIENCE,
    JudgedWindow,
    TooFew,
    calibrate,
    fit,
    judged,
    judged_windows,
)
from lab.validate.journal import FORMAT, present_code
from workers.rppg.fusion.recalibration import Recalibration

NEEDED = 3.0


def windows(people: int, each: int, seed: int = 1, *, offset: float = -3.0, width: float = 0.5) -> list[JudgedWindow]:
    """Windows whose rates are right with log odds `offset` above those stated, and half-widths `width` of the true."""
    rng = np.random.default_rng(seed)
    found = []
    for person in range(people):
        spread = rng.uniform(0.7, 1.4)
        for _ in range(each):
            odds = float(rng.uniform(0, 10))
            right = rng.random() < 1 / (1 + np.exp(-odds - offset))
            true = float(rng.uniform(0.5, 2)) * spread
            error = float(abs(rng.normal()) * true / 1.645) if right else float(rng.uniform(6, 60))
            found.append(JudgedWindow(f"p{person}", error, odds, NEEDED, width * true, otherwise=False))
    return found


def test_the_verdict_is_that_of_the_windows() -> None:
    found = fit(windows(40, 25))
    assert found.verdict_offset == pytest.approx(-3.0, abs=0.8)
    assert found.verdict_scale == pytest.approx(1.0, abs=0.25)


def test_a_good_verdict_hardly_moves() -> None:
    found = fit(windows(40, 25, offset=0.0))
    assert abs(found.verdict_offset) < 0.6
    assert found.verdict_scale == pytest.approx(1.0, abs=0.25)


def test_intervals_hold_on_people_held_out() -> None:
    found, held_out = calibrate(windows(40, 20, offset=3.0))
    assert held_out["before"]["interval_coverage"] < 0.7
    assert held_out["after"]["interval_coverage"] == pytest.approx(0.9, abs=0.04)
    assert found.interval_scale > 1.3


def test_fewer_wrong_rates_are_reported_on_people_held_out() -> None:
    _, held_out = calibrate(windows(40, 25))
    before, after = held_out["before"], held_out["after"]
    assert after["wrong"] < before["wrong"] / 2
    assert after["log_loss"] < before["log_loss"]
    assert before["windows"] == after["windows"] == 1000


def test_people_without_a_wrong_rate_do_not_make_the_verdict_lenient() -> None:
    right = [replace(window, error_per_min=0.3) for window in windows(30, 20)]
    found = fit(right)
    for odds in (NEEDED - MAX_LENIENCE - 0.01, -5.0):
        assert not replace(right[0], log_odds=odds).is_reported(found)
    assert replace(right[0], log_odds=NEEDED + 0.01).is_reported(found)


def test_each_person_is_judged_by_a_fit_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    people: list[set[str]] = []
    original = recalibration.fit

    def watched(chosen: Sequence[JudgedWindow]) -> Recalibration:
        people.append({window.subject for window in chosen})
        return original(chosen)

    monkeypatch.setattr(recalibration, "fit", watched)
    every = windows(25, 10, offset=0.0)
    calibrate(every)
    *folds, last = people
    assert last == {window.subject for window in every}
    assert len(folds) == 5
    assert sorted(name for fold in folds for name in last - fold) == sorted(last), "each is held out once"


@pytest.mark.parametrize(
    ("people", "each", "message"), [(19, 20, "People: 19"), (24, 4, "reference: 96"), (30, 10, "reported: 0")]
)
def test_too_few_people_windows_or_reports_are_refused(people: int, each: int, message: str) -> None:
    found = windows(people, each, offset=0.0)
    if "reported" in message:
        found = [replace(window, otherwise=True) for window in found]
    with pytest.raises(TooFew, match=message):
        calibrate(found)


def test_figures_of_a_calibration_by_hand() -> None:
    known = [
        JudgedWindow("a", 1.0, 5.0, 3.0, 0.6, otherwise=False),
        JudgedWindow("b", 8.0, 4.0, 3.0, 0.6, otherwise=False),
        JudgedWindow("c", 0.5, 2.0, 3.0, 0.6, otherwise=False),
        JudgedWindow("d", 0.5, 9.0, 3.0, 0.6, otherwise=True),
    ]
    before = judged(known, [Recalibration()] * 4)
    assert (before["reported"], before["wrong"], before["mae"], before["interval_coverage"]) == (2, 1, 4.5, 0.0)
    after = judged(known, [Recalibration(verdict_offset=-1.5, interval_scale=2.0)] * 4)
    assert (after["reported"], after["wrong"], after["interval_coverage"]) == (1, 0, 1.0)
    assert after["median_interval_width"] == 2.4


def row(person: int, number: int, window: JudgedWindow, **changes: object) -> dict[str, Any]:
    """A row of `facevitals validate` of this window."""
    candidate = {
        "heart_rate": 70.0 + window.error_per_min,
        "pulse_log_odds": window.log_odds,
        "min_log_odds": window.min_log_odds,
        "refused_otherwise": None,
        "half_width": window.half_width,
    }
    body = {
        "kind": "window",
        "file": f"{person}.mp4",
        "subject": window.subject,
        "start_s": 15.0 * number,
        "window_s": 15.0,
        "reference": {"heart_rate": 70.0},
        "candidate": candidate,
        "checks": {},
        "format": FORMAT,
        "code": present_code(),
    }
    return {**body, **changes}


def test_windows_that_a_check_refuses_are_left_out() -> None:
    window = windows(1, 1)[0]
    rows = [
        row(1, 0, window),
        row(1, 1, window, checks={"motion": {"status": "fail", "reason": "motion"}}),
        row(1, 2, window, checks={"lighting": {"status": "fail", "reason": "low_light"}}),
        row(1, 3, window, candidate=None),
        row(1, 4, window, reference={"heart_rate": None}),
    ]
    found = judged_windows(rows)
    assert len(found) == 2
    assert found[0].error_per_min == pytest.approx(window.error_per_min)
    assert replace(found[0], error_per_min=window.error_per_min) == window


def test_the_command_writes_a_file_that_workers_read(tmp_path: Path) -> None:
    every = windows(24, 10, offset=0.0)
    path = tmp_path / "rows.jsonl"
    rows = [row(index // 10, index % 10, window) for index, window in enumerate(every)]
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    result = CliRunner().invoke(app, ["calibrate", str(path), "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "24 people, 240 windows" in result.stdout
    body = json.loads((tmp_path / "calibration.json").read_text())
    assert body["made_by"].keys() >= {"command", "version", "date", "rows_sha256", "people", "windows"}
    assert body["held_out"].keys() == {"before", "after"}
    used = Recalibration.read(tmp_path / "calibration.json")
    expected, _ = calibrate(judged_windows(rows))
    assert used == expected != Recalibration()


def test_the_command_refuses_few_people_and_rows_of_other_code(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    every = windows(19, 10, offset=0.0)
    rows = [row(index // 10, index % 10, window) for index, window in enumerate(every)]
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    few = CliRunner().invoke(app, ["calibrate", str(path), "--out", str(tmp_path)])
    assert (few.exit_code, "People: 19" in few.stderr) == (1, True)
    assert not (tmp_path / "calibration.json").exists()
    path.write_text("".join(json.dumps({**each, "code": "earlier"}) + "\n" for each in rows))
    other = CliRunner().invoke(app, ["calibrate", str(path)])
    assert (other.exit_code, "another release" in other.stderr) == (2, True)
    missing = CliRunner().invoke(app, ["calibrate", str(tmp_path / "away.jsonl")])
    assert (missing.exit_code, "are missing" in missing.stderr) == (2, True)
