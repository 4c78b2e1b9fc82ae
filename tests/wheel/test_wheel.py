"""The wheel that `tools/wheel.sh` built and installed: complete, and at work outside of the checkout."""

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from facevitals.local.broker import free_port, start_broker
from facevitals.local.processes import start_child
from tests.service.conftest import WORKER_READY_S, wait_until

ROOT = Path(__file__).parents[2]
DIST = ROOT / "artefacts/wheel/dist"
BIN = ROOT / "artefacts/wheel/env/bin"
PACKAGES = {"api", "workers", "shared", "lab", "facevitals"}
LOCK = "facevitals/requirements/default.lock"
CONSUMER = ROOT / "tests/unit/library/consumer.py"


@pytest.fixture(scope="module")
def wheel() -> Iterator[zipfile.ZipFile]:
    (path,) = DIST.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def version() -> str:
    (path,) = DIST.glob("*.whl")
    return path.name.split("-")[1]


def run(place: Path, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program of the wheel's environment in the folder `place`, without a trace of the checkout."""
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONPATH", "VIRTUAL_ENV"} and not name.startswith("FACEVITALS_")
    }
    env["FACEVITALS_MODELS_DIR"] = str(ROOT / ".facevitals/models")
    return subprocess.run(
        [BIN / command[0], *command[1:]], cwd=place, env=env, capture_output=True, text=True, check=check, timeout=250
    )


def test_it_holds_every_file_of_the_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    listed = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True)
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    own = {name for name in held if not name.startswith("api/bundle/")}
    assert own == {*listed.stdout.splitlines(), LOCK}
    assert wheel.read(LOCK) == (ROOT / "requirements/default.lock").read_bytes()
    assert {f"{package}/py.typed" for package in PACKAGES} <= held
    assert {name.split("/")[0] for name in held} == PACKAGES


def test_it_holds_the_page_that_was_built(wheel: zipfile.ZipFile) -> None:
    page = {str(path.relative_to(ROOT / "web/dist")) for path in (ROOT / "web/dist").rglob("*") if path.is_file()}
    assert "index.html" in page
    assert {name.removeprefix("api/bundle/") for name in wheel.namelist() if name.startswith("api/bundle/")} == page


def test_the_locked_releases_are_those_that_it_requires(tmp_path: Path) -> None:
    code = (
        "import importlib.metadata as m, json; "
        "print(json.dumps([m.requires('facevitals'), {d.name: d.version for d in m.distributions()}]))"
    )
    requires, installed = json.loads(run(tmp_path, "python", "-c", code).stdout)
    found = {canonicalize_name(name): release for name, release in installed.items()}
    for requirement in map(Requirement, requires):
        if requirement.marker is None or requirement.marker.evaluate({"extra": "worker"}):
            release = found[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(release, prereleases=True), requirement


def test_it_is_imported_from_its_environment(tmp_path: Path, version: str) -> None:
    code = f"import {', '.join(PACKAGES)}; print(*(module.__file__ for module in ({', '.join(PACKAGES)})))"
    for path in run(tmp_path, "python", "-c", code).stdout.split():
        assert Path(path).is_relative_to(BIN.parent), path
    assert run(tmp_path, "python", "-c", "import facevitals; print(facevitals.__version__)").stdout.strip() == version
    assert run(tmp_path, "facevitals", "--version").stdout.strip() == f"facevitals {version}"
    assert "FACEVITALS_REDIS_URL" in run(tmp_path, "facevitals", "--help").stdout


def test_it_simulates_a_clip_and_analyses_it(tmp_path: Path, version: str) -> None:
    run(tmp_path, "facevitals", "simulate", "clip.mp4", "--duration", "8")
    truth = json.loads((tmp_path / "clip.truth.json").read_text())
    document = json.loads(run(tmp_path, "facevitals", "analyze", "clip.mp4", "--json").stdout)
    assert document["state"] == "succeeded"
    assert document["versions"] == {"facevitals": version}
    assert document["vitals"]["heart_rate"]["value"] == pytest.approx(truth["heart_rate"], abs=4)
    assert document["vitals"]["heart_rate"]["method"]["version"] == version
    assert document["vitals"]["age"]["value"] is not None


def test_its_gateway_serves_the_page_and_the_documentation(tmp_path: Path, version: str) -> None:
    broker = start_broker(tmp_path / "broker")
    port = free_port()
    settings = {
        "FACEVITALS_REDIS_URL": broker.url,
        "FACEVITALS_DATA_DIR": str(tmp_path / "data"),
        "FACEVITALS_PORT": str(port),
    }
    log = tmp_path / "gateway.log"
    with log.open("wb") as output:
        command = ["env", "-C", str(tmp_path), str(BIN / "facevitals"), "gateway"]
        gateway = start_child("gateway", command, env=settings, log=output)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:

            def answers() -> bool:
                assert gateway.process.poll() is None, log.read_text()
                try:
                    return http.get("/livez").status_code == 200
                except httpx.TransportError:
                    return False

            wait_until(answers, "the gateway answers", WORKER_READY_S)
            page = http.get("/")
            assert page.text == (ROOT / "web/dist/index.html").read_text()
            scripts = re.findall(r'src="(/assets/[^"]+\.js)"', page.text)
            assert scripts
            assert all(http.get(script).status_code == 200 for script in scripts)
            assert http.get("/openapi.json").json()["info"]["version"] == version
            assert http.get("/docs").status_code == 200
    finally:
        gateway.stop(10)
        broker.child.stop(10)


def test_its_types_reach_a_program_that_uses_it(tmp_path: Path) -> None:
    program = tmp_path / "consumer.py"
    program.write_text(CONSUMER.read_text())
    # mypy reads an installed package only where it finds py.typed.
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(BIN / "python"), str(program)]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=250)
    assert checked.returncode == 0, checked.stdout
    program.write_text(CONSUMER.read_text().replace("heart_rate.value, float | None)", "heart_rate.value, str)"))
    wrong = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=250)
    assert "assert-type" in wrong.stdout
