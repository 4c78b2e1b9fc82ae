"""deploy/systemd: the units are valid and let a worker finish its clip."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.jobs.queues import QUEUES
from shared.settings import Settings

FOLDER = Path(__file__).parents[3] / "deploy/systemd"
UNITS = sorted(path.name for path in FOLDER.iterdir() if path.suffix in {".service", ".target"})
#: Exposure from `systemd-analyze security`: 0 is fully sandboxed, 10 is exposed; its own "OK" ends at 5.
MAX_EXPOSURE = 1.5

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed here")


def directives(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (FOLDER / unit).read_text().splitlines():
        if "=" in line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


@pytest.fixture
def placed(tmp_path: Path) -> Path:
    """The units in a folder, with the program of this environment and with instances of templates."""
    program = str(Path(sys.executable).parent)
    for unit in UNITS:
        text = (FOLDER / unit).read_text().replace("/opt/facevitals/.venv/bin", program)
        for name in [unit.replace("@", f"@{queue}") for queue in QUEUES.values()] if "@" in unit else [unit]:
            (tmp_path / name).write_text(text)
    return tmp_path


@needs_systemd
def test_the_units_are_valid(placed: Path) -> None:
    units = sorted(str(path) for path in placed.iterdir())
    verdict = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (verdict.returncode, verdict.stderr) == (0, "")


@needs_systemd
def test_the_services_are_sandboxed(placed: Path) -> None:
    services = sorted(str(path) for path in placed.glob("*.service"))
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", *services]
    report = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    exposures = re.findall(r"exposure level for (\S+): ([\d.]+)", report)
    assert len(exposures) == len(services), report
    assert max(float(exposure) for _, exposure in exposures) <= MAX_EXPOSURE, exposures


def test_a_stopped_worker_may_finish_its_clip() -> None:
    worker = directives("facevitals-worker@.service")
    hard_limit_s = Settings.model_fields["branch_hard_limit_s"].default
    (timeout_s,) = worker["TimeoutStopSec"]
    assert float(timeout_s) > hard_limit_s
    # Any other mode also sends SIGTERM to the process that analyses.
    assert worker["KillMode"] == ["mixed"]


def test_workers_have_no_access_to_the_internet() -> None:
    worker = directives("facevitals-worker@.service")
    assert worker["IPAddressDeny"] == ["any"]
    assert worker["IPAddressAllow"] == ["localhost"]


def test_the_target_starts_the_gateway_and_a_worker_for_each_queue() -> None:
    (wanted,) = directives("facevitals.target")["Wants"]
    workers = {f"facevitals-worker@{queue}.service" for queue in QUEUES.values()}
    assert set(wanted.split()) == {"facevitals-gateway.service"} | workers


def test_every_setting_in_the_environment_file_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for line in (FOLDER / "facevitals.env").read_text().splitlines() if line and line[0] != "#"]
    for line in lines:
        name, _, value = line.partition("=")
        assert name.removeprefix("FACEVITALS_").lower() in Settings.model_fields
        monkeypatch.setenv(name, value)
    assert Settings().host == "127.0.0.1"
