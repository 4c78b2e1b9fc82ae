"""Pages for operators name commands, log lines, metrics, settings and files that exist."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import typer.main

from facevitals.cli.app import app
from shared.settings import Settings

ROOT = Path(__file__).parents[3]
DOCS = [ROOT / "docs" / name for name in ("runbook.md", "keys-webhooks-stores.md", "scaling.md")] + [
    ROOT / "deploy" / "README.md"
]
SOURCE = "".join(path.read_text() for room in ("api", "shared", "workers") for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_commands_settings_metrics_log_lines_and_files_of_a_page_exist(page: Path) -> None:
    text = page.read_text()
    commands = typer.main.get_command(app)
    known = set(getattr(commands, "commands", {}))
    assert set(re.findall(r"(?:`|bin/|\n|api )facevitals ([a-z]+)", text)) <= known
    settings = {f"FACEVITALS_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"FACEVITALS_[A-Z0-9_]*[A-Z0-9]", text)) <= settings
    for metric in re.findall(r"facevitals_[a-z_]+[a-z]", re.sub(r"facevitals_(ollama|jobs_)", "", text)):
        assert metric.removesuffix("_total") in SOURCE, metric
    for line in re.findall(r"log `([a-z ]+)`|^\\| log `([a-z ]+)`", text):
        assert any(f'"{each}"' in SOURCE for each in line if each), line
    for path in re.findall(r"(?:tests|deploy|docs)/[a-z_/-]+\.[a-z]+", text):
        assert (ROOT / path).exists(), path


def test_the_documented_broker_command_gets_a_valid_address() -> None:
    (line,) = re.findall(r'^ +B=(".*?")', (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    for url, wanted in {
        "redis://:secret@broker:6379/0": "redis://default:secret@broker:6379/0",
        "redis://me:secret@broker:6379/0": "redis://me:secret@broker:6379/0",
        "redis://127.0.0.1:6379/0": "redis://127.0.0.1:6379/0",
    }.items():
        echoed = subprocess.run(
            ["bash", "-c", f"echo {line}"],
            env={**os.environ, "FACEVITALS_REDIS_URL": url},
            capture_output=True,
            text=True,
            check=True,
        )
        assert echoed.stdout == f"valkey-cli -u {wanted}\n"
