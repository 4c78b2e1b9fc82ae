"""A calibration of the user's own moves the verdict and the interval of the heart rate, and nothing else."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.schemas import VitalStatus
from shared.settings import Settings
from shared.vitals import Reason
from tests.unit.pulse.conftest import MakeTraces, MakeTrack
from workers.analyzer import AnalyzerOptions
from workers.rppg.fusion.calibration import DIGEST
from workers.rppg.fusion.gate import MIN_LOG_ODDS, refusal
from workers.rppg.fusion.pulse import Pulse, estimate_pulse
from workers.rppg.fusion.recalibration import MIN_HALF_WIDTH_PER_MIN, Recalibration, RecalibrationUnreadable
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import RppgOptions, measure_rppg
from workers.rppg.signals.traces import Traces
from workers.rppg.vitals.heart_rate import half_width_per_min, heart_rate, measure
from workers.rppg.vitals.measurement import VitalInputs

BODY: dict[str, Any] = {
    "format": 1,
    "fitted_to": DIGEST,
    "verdict": {"offset": -0.5, "scale": 0.9},
    "interval": {"offset_per_min": 0.2, "scale": 1.5},
}


@pytest.fixture(name="traces")
def _traces(make_traces: MakeTraces) -> Traces:
    return make_traces()


@pytest.fixture(name="pulse")
def _pulse(traces: Traces) -> Pulse:
    return estimate_pulse(traces)


def written(folder: Path, **changes: object) -> Path:
    path = folder / "calibration.json"
    path.write_text(json.dumps({**BODY, **changes}))
    return path


def test_the_default_changes_nothing(pulse: Pulse) -> None:
    assert heart_rate(pulse, Recalibration()) == heart_rate(pulse)
    assert refusal(pulse, Recalibration()) is None
    assert Recalibration().digest is None


def test_the_interval_is_moved_and_the_value_is_not(pulse: Pulse) -> None:
    half = half_width_per_min(pulse)
    moved = heart_rate(pulse, Recalibration(interval_offset_per_min=0.5, interval_scale=2.0))
    assert moved.value == heart_rate(pulse).value
    assert moved.interval == pytest.approx(
        (pulse.rate_per_min - 2 * half - 0.5, pulse.rate_per_min + 2 * half + 0.5), abs=0.051
    )
    narrow = Recalibration(interval_offset_per_min=-99.0)
    assert narrow.half_width_per_min(half) == MIN_HALF_WIDTH_PER_MIN


def test_the_verdict_is_moved_by_offset_and_scale(pulse: Pulse) -> None:
    odds, needed = pulse.verdict.log_odds, MIN_LOG_ODDS
    assert odds > needed
    for refusing in (
        Recalibration(verdict_offset=needed - odds - 0.01),
        Recalibration(verdict_scale=0.99 * needed / odds),
    ):
        vital = heart_rate(pulse, refusing)
        assert (vital.status, vital.reason) == (VitalStatus.ABSTAINED, Reason.NO_PULSE)
    for accepting in (Recalibration(verdict_offset=needed - odds + 0.01), Recalibration(verdict_scale=3.0)):
        assert heart_rate(pulse, accepting).status is VitalStatus.OK


def test_a_refused_pulse_can_be_accepted_unless_another_condition_refuses_it(pulse: Pulse) -> None:
    faint = replace(pulse, verdict=replace(pulse.verdict, probability=0.4, belief=0.4, second=0.1))
    assert heart_rate(faint).reason is Reason.NO_PULSE
    lenient = Recalibration(verdict_offset=MIN_LOG_ODDS - faint.verdict.log_odds + 0.1)
    assert heart_rate(faint, lenient).status is VitalStatus.OK
    still = replace(faint, sway=0.0001)
    vital = heart_rate(still, replace(lenient, verdict_offset=99.0))
    assert vital.reason is Reason.NO_PULSE
    assert "picture" in str(vital.detail)


def test_the_vital_uses_the_option_of_the_branch(traces: Traces, pulse: Pulse) -> None:
    strict = Recalibration(verdict_offset=-99.0)
    inputs = VitalInputs(traces, pulse)
    assert measure(inputs).vital.status is VitalStatus.OK
    assert measure(replace(inputs, options=(strict,))).vital.status is VitalStatus.ABSTAINED


def test_the_branch_passes_its_option_on(make_track: MakeTrack, quick_models: RppgModels) -> None:
    strict = RppgOptions(recalibration=Recalibration(verdict_offset=-99.0))
    vitals = measure_rppg(make_track(), quick_models, options=strict).vitals
    assert vitals["heart_rate"].reason is Reason.NO_PULSE
    assert measure_rppg(make_track(), quick_models).vitals["heart_rate"].status is VitalStatus.OK


def test_the_setting_names_the_file(tmp_path: Path) -> None:
    path = written(tmp_path)
    options = AnalyzerOptions.from_settings(Settings(calibration=path))
    assert options.rppg.recalibration == Recalibration(-0.5, 0.9, 0.2, 1.5)
    assert options.rppg.recalibration.digest is not None
    assert AnalyzerOptions.from_settings(Settings()).rppg.recalibration == Recalibration()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fitted_to": "another"}, "fitted to another release"),
        ({"format": 2}, "fitted to another release"),
        ({"verdict": {"offset": 1.0}}, "is no file of `facevitals calibrate`"),
        ({"verdict": {"offset": "much", "scale": 1.0}}, "is no file of `facevitals calibrate`"),
        ({"interval": {"offset_per_min": 0.0, "scale": -1.0}}, "scales positive"),
        ({"verdict": {"offset": float("nan"), "scale": 1.0}}, "offsets must be finite"),
    ],
)
def test_a_file_that_cant_be_used_is_an_error_with_a_sentence(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecalibrationUnreadable, match=message):
        AnalyzerOptions.from_settings(Settings(calibration=written(tmp_path, **changes)))


def test_a_missing_or_damaged_file_is_an_error_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecalibrationUnreadable, match="can't be read: No such file"):
        Recalibration.read(tmp_path / "away.json")
    damaged = tmp_path / "damaged.json"
    damaged.write_bytes(b"{\xff")
    with pytest.raises(RecalibrationUnreadable, match="is no file of"):
        Recalibration.read(damaged)
    damaged.write_text("[]")
    with pytest.raises(RecalibrationUnreadable, match="is no file of"):
        Recalibration.read(damaged)


@pytest.mark.parametrize("command", [("worker",), ("analyze", "clip.mp4")])
def test_commands_end_at_their_start_where_the_file_cant_be_used(tmp_path: Path, command: tuple[str, ...]) -> None:
    path = written(tmp_path, fitted_to="another")
    ended = subprocess.run(
        [sys.executable, "-m", "facevitals", *command],
        env={"FACEVITALS_CALIBRATION": str(path), "FACEVITALS_REDIS_URL": "redis://127.0.0.1:1/0", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in {1, 2}
    assert "was fitted to another release" in ended.stderr
    assert "Traceback" not in ended.stderr
