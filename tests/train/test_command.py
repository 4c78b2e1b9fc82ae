"""The command line of training."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from facevitals.cli import app
from facevitals.train import COMMANDS
from tests.unit.data.conftest import astronaut
from tests.unit.data.layouts import write_ubfc
from tests.unit.pulse.test_checkpoint import deepphys_weights, write_checkpoint

__all__ = ["astronaut"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_network_has_a_command(name: str) -> None:
    told = CliRunner().invoke(app, ["train", name, "--help"])
    assert told.exit_code == 0, told.output


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
