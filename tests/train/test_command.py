"""The command line of training."""

import pytest
from typer.testing import CliRunner

from facevitals.cli import app
from facevitals.train import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_network_has_a_command(name: str) -> None:
    told = CliRunner().invoke(app, ["train", name, "--help"])
    assert told.exit_code == 0, told.output
