"""The command line of training."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from facevitals.cli.app import app
from facevitals.cli.train_commands import COMMANDS
from tests.unit.data.conftest import astronaut
from tests.unit.data.layouts import write_ubfc
from tests.unit.pulse.test_checkpoint import deepphys_weights, write_checkpoint
from workers.rppg.network_sessions import RppgModels

__all__ = ["astronaut"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_network_has_a_command(name: str) -> None:
    result = CliRunner().invoke(app, ["train", name, "--help"])
    assert result.exit_code == 0, result.output


def facevitals(*arguments: str | float | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "facevitals", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip


def test_a_network_trained_on_two_subjects_is_loaded_by_workers(tmp_path: Path, astronaut: NDArray[np.uint8]) -> None:
    for subject, rate in ((1, 72.0), (2, 90.0)):
        write_ubfc(tmp_path / "data", subject, astronaut, rate, duration_s=3.0)
    result = facevitals(
        "train", "deepphys", "--data", tmp_path / "data", "--out", tmp_path / "out",
        "--steps", 2, "--batch", 1, "--chunk", 60, "--every", 1, "--device", "cpu",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["steps"] == 2
    assert "deepphys" in RppgModels.load(tmp_path / "out", only=frozenset({"deepphys"})).estimators
    assert (tmp_path / "out" / "deepphys.onnx").stat().st_size < 3_000_000


def test_training_needs_two_subjects(tmp_path: Path, astronaut: NDArray[np.uint8]) -> None:
    write_ubfc(tmp_path / "data", 1, astronaut, 72.0, duration_s=1.0)
    result = facevitals("train", "deepphys", "--data", tmp_path / "data", "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "two people" in result.stderr


def test_the_test_command_measures_a_folder_of_ubfc(
    tmp_path: Path, astronaut: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_ubfc(tmp_path / "data", 1, astronaut, 72.0, duration_s=4.0)
    write_checkpoint(tmp_path / "own.pth", deepphys_weights(36), monkeypatch)
    result = facevitals(
        "train", "test", "--data", folder, "--cache", tmp_path / "cache", "--out", tmp_path / "out",
        "--estimators", "green", "--network", tmp_path / "own.pth",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout.splitlines()[-1])
    assert figures["green"]["mae"] < 3
    assert set(figures) == {"green", "deepphys"}
    assert (tmp_path / "out" / "train-test.png").is_file()
