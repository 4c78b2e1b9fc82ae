"""The gateway has an environment of its own, without vision and signal packages."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from facevitals.local.broker import free_port, start_broker
from facevitals.local.processes import start_child

ROOT = Path(__file__).parents[2]
#: Import names of packages that requirements/gateway.lock must not contain.
ABSENT = ("numpy", "scipy", "cv2", "tflite", "onnxruntime", "onnx", "av", "h5py", "skimage", "PIL", "matplotlib")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A virtual environment made by `tools/environment.sh gateway`, removed at the end."""
    venv = tmp_path_factory.mktemp("gateway") / "venv"
    subprocess.run(["bash", ROOT / "tools/environment.sh", "gateway", venv], check=True, timeout=280)
    yield venv
    shutil.rmtree(venv)


def python(environment: Path, code: str) -> str:
    """Run `code` in the gateway's environment; return its output."""
    run = subprocess.run(
        [environment / "bin/python", "-c", code],
        env={name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_no_vision_or_signal_package_is_installed(environment: Path) -> None:
    code = f"from importlib.util import find_spec; print([name for name in {ABSENT!r} if find_spec(name)])"
    assert python(environment, code).strip() == "[]"


def test_the_gateway_can_be_imported(environment: Path) -> None:
    python(environment, "import api.app, shared.jobs.queues")


def test_the_gateway_starts_and_serves(environment: Path, tmp_path: Path) -> None:
    broker = start_broker(tmp_path / "broker")
    port = free_port()
    settings = {
        "FACEVITALS_REDIS_URL": broker.url,
        "FACEVITALS_DATA_DIR": str(tmp_path / "data"),
        "FACEVITALS_PORT": str(port),
    }
    log = tmp_path / "gateway.log"
    with log.open("wb") as output:
        gateway = start_child("gateway", [str(environment / "bin/facevitals"), "gateway"], env=settings, log=output)
    try:
        end = time.monotonic() + 120
        answer = None
        while answer is None and time.monotonic() < end and gateway.process.poll() is None:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/livez", timeout=30)
            except httpx.TransportError:
                time.sleep(0.05)
        assert answer is not None, log.read_text()
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        ready = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=30)
        assert ready.status_code == 200, ready.text
        # Swagger UI is included.
        assert httpx.get(f"http://127.0.0.1:{port}/docs/swagger-ui-bundle.js", timeout=30).status_code == 200
    finally:
        gateway.stop(10)
        broker.child.stop(10)
    assert gateway.process.returncode in {0, -15}, log.read_text()


def test_the_library_imports_there_and_the_analysis_names_what_it_needs(environment: Path) -> None:
    code = """
import facevitals
facevitals.Client("http://127.0.0.1:1").close()
for call in (facevitals.analyze, facevitals.simulate):
    try:
        call("clip.mp4")
    except ModuleNotFoundError as error:
        print(error)
"""
    lines = python(environment, code).splitlines()
    assert len(lines) == 2
    for line in lines:
        command, _, lock = line.rpartition(" ")
        assert command.endswith("is missing). Install the packages that it needs: pip install --no-deps -r")
        assert Path(lock).samefile(ROOT / "requirements/default.lock")


def test_a_second_set_up_changes_nothing(environment: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (environment / "bin").iterdir()}
    command: list[str | Path] = ["bash", ROOT / "tools/environment.sh", "gateway", environment]
    again = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert again.stderr == ""
    assert {path: path.stat().st_mtime_ns for path in (environment / "bin").iterdir()} == before
