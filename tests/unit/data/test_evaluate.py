"""Estimators against a recorded pulse, in the field's figures."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.train.evaluate import Answer, bland_altman, estimators_of, macc, report_of
from tests.unit.data.layouts import pulse_at, write_ubfc
from tests.unit.pulse.test_checkpoint import deepphys_weights, write_checkpoint
from workers.rppg.filters import standardise


def test_errors_are_counted_as_the_field_counts_them(tmp_path: Path) -> None:
    found = [
        Answer("green", str(index), told, true, 3.0, 0.8)
        for index, (told, true) in enumerate([(60.0, 60.0), (84.0, 80.0), (97.0, 100.0)])
    ]
    figures = report_of(found).summary["green"]
    assert figures["mae"] == pytest.approx(7 / 3, abs=1e-3)
    assert figures["rmse"] == pytest.approx((25 / 3) ** 0.5, abs=1e-3)
    assert figures["mape"] == pytest.approx((0 + 5 + 3) / 3, abs=1e-3)
    assert figures["pearson"] == pytest.approx(np.corrcoef([60, 84, 97], [60, 80, 100])[0, 1], abs=1e-3)
    assert bland_altman(found, tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_late_wave_is_as_like_as_one_in_time() -> None:
    times = np.arange(300) / 30
    true = standardise(pulse_at(times, 72.0))
    assert macc(standardise(pulse_at(times - 0.2, 72.0)), true) == pytest.approx(1, abs=0.01)
    rng = np.random.default_rng(0)
    assert macc(standardise(rng.normal(size=300)), true) < 0.4


def facevitals(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "facevitals", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip


def test_the_command_measures_a_folder_of_ubfc(
    tmp_path: Path, astronaut: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_ubfc(tmp_path / "data", 1, astronaut, 72.0, duration_s=4.0)
    write_checkpoint(tmp_path / "own.pth", deepphys_weights(36), monkeypatch)
    told = facevitals(
        "train", "test", "--data", folder, "--cache", tmp_path / "cache", "--out", tmp_path / "out",
        "--estimators", "green", "--network", tmp_path / "own.pth",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    figures = json.loads(told.stdout.splitlines()[-1])
    assert figures["green"]["mae"] < 3
    assert set(figures) == {"green", "deepphys"}
    assert (tmp_path / "out" / "train-test.png").is_file()


def test_an_estimator_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="oracle"):
        estimators_of(("oracle",), None, tmp_path)
