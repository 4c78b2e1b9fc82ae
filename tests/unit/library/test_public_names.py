"""`import facevitals`: the names, and what importing and looking them up leaves alone."""

import json
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest

import facevitals

NAMES = [
    "Analysis",
    "Analyzer",
    "Client",
    "ClientError",
    "ClipRejected",
    "JobDocument",
    "__version__",
    "analyze",
    "simulate",
]
#: Packages that the import must not load, and those that looking up a name must not load either.
HEAVY = {"numpy", "scipy", "cv2", "onnx", "onnxruntime", "mediapipe", "av", "skimage", "workers", "lab"}
SERVICE = {"celery", "redis", "fastapi", "uvicorn", "pydantic", "httpx", "structlog", "typer", "rich"}

STATE = """
import json, logging, os, signal, sys, threading, warnings

def state():
    root = logging.getLogger()
    return {
        "environment": dict(os.environ),
        "logging": [repr(root.handlers), root.level, root.disabled, logging.root.manager.disable],
        "warnings": repr(warnings.filters) + repr(warnings.showwarning),
        "signals": {str(number): repr(signal.getsignal(number)) for number in signal.valid_signals()},
        "hooks": repr((sys.excepthook, sys.unraisablehook, sys.displayhook, threading.excepthook)),
        "path": list(sys.path),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "streams": repr((sys.stdout, sys.stderr)),
        "folder": os.getcwd(),
    }

before = state()
%s
after = state()
changed = {name: [before[name], after[name]] for name in before if before[name] != after[name]}
print(json.dumps({"changed": changed, "packages": sorted({name.split(".")[0] for name in sys.modules})}))
"""


def run(code: str) -> dict[str, Any]:
    """What `code` changed in a process of its own, and the packages that are loaded there."""
    done = subprocess.run([sys.executable, "-c", STATE % code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_the_public_names_are_these() -> None:
    assert facevitals.__all__ == NAMES
    assert dir(facevitals) == sorted(NAMES)
    for name in NAMES:
        assert getattr(facevitals, name) is not None
    assert facevitals.__version__ == version("facevitals")


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        facevitals.analyse  # noqa: B018


def test_the_import_loads_no_other_package_and_changes_nothing() -> None:
    result = run("import facevitals")
    assert result["changed"] == {}
    assert not set(result["packages"]) & (HEAVY | SERVICE | {"shared"})


@pytest.mark.parametrize("name", NAMES)
def test_looking_up_a_name_loads_no_vision_package_and_changes_nothing(name: str) -> None:
    result = run(f"import facevitals; facevitals.{name}")
    assert result["changed"] == {}
    assert not set(result["packages"]) & (HEAVY | {"celery", "redis", "fastapi", "uvicorn"})


def test_an_analysis_leaves_no_limit_on_threads_behind() -> None:
    code = (
        "import facevitals\n"
        "try: facevitals.analyze('missing.mp4', vitals=['heart_rate'], estimators=['pos'], raw=True)\n"
        "except FileNotFoundError: pass\n"
        "sys.stderr.flush()"
    )
    done = subprocess.run([sys.executable, "-c", STATE % code], capture_output=True, text=True, check=True, timeout=200)
    changed = json.loads(done.stdout.splitlines()[-1])["changed"]
    before, after = changed.get("environment", [{}, {}])
    assert {name for name in after if before.get(name) != after[name]} <= {"LD_LIBRARY_PATH"}
    assert not changed.keys() & {"logging", "signals", "hooks", "path", "streams", "folder"}
