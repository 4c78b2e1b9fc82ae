"""The examples of CONTRIBUTING.md work: applied to a copy of the tree, they add an estimator, a model and a vital."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from lab.simulate import ClipSpec, simulate

ROOT = Path(__file__).parents[3]
#: Code blocks of the section, and the file that the step before each names.
BLOCK = re.compile(
    r"`(?P<path>[\w/]+\.(?:py|toml))`(?:(?!```|\.py`).)*?\n"
    r"(?P<indent> *)```(?P<kind>diff|python|toml)\n(?P<lines>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


def apply(kind: str, lines: list[str], target: Path) -> None:
    """Apply a block to a file: a diff line by line, TOML at the end; a block of Python is a new file."""
    if kind == "python":
        assert not target.exists(), target
        target.write_text("\n".join(lines) + "\n", "utf-8")
        return
    found = target.read_text("utf-8").split("\n")
    if kind == "toml":
        found += lines
    at = 0
    for line in lines if kind == "diff" else []:
        if line.startswith("+"):
            at += 1
            found.insert(at, line[1:])
        else:
            at = found.index(line[1:])
    target.write_text("\n".join(found), "utf-8")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages with every example of CONTRIBUTING.md applied."""
    copy = tmp_path_factory.mktemp("tree")
    for package in ("facevitals", "lab", "shared", "workers"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    blocks = list(BLOCK.finditer((ROOT / "CONTRIBUTING.md").read_text("utf-8")))
    assert len(blocks) == 7
    for block in blocks:
        lines = [line.removeprefix(block["indent"]) for line in block["lines"].rstrip("\n").split("\n")]
        apply(block["kind"], lines, copy / block["path"])
    return copy


def facevitals(tree: Path, *arguments: str | Path) -> list[dict[str, Any]]:
    """The JSON objects that a command prints."""
    env = {**os.environ, "PYTHONPATH": str(tree), "FACEVITALS_MODELS_DIR": str(tree / "models")}
    command = [sys.executable, "-m", "facevitals", *map(str, arguments)]
    done = subprocess.run(command, env=env, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_new_estimator_runs_alone_and_a_new_vital_is_in_the_document(tree: Path) -> None:
    clip = tree / "clip.mp4"
    simulate(clip, ClipSpec(heart_rate=72, duration_s=8, width=320, height=240, motion=0, seed=7))
    (document,) = facevitals(tree, "analyze", clip, "--json", "--estimators", "green_red", "--raw")
    rate = document["vitals"]["heart_rate"]
    assert rate["value"] == pytest.approx(72, abs=3)
    assert (rate["status"], rate["method"]["name"]) == ("experimental", "rate of green_red")
    (document,) = facevitals(tree, "analyze", clip, "--json", "--vitals", "heart_rate,pulse_strength")
    assert document["vitals"]["heart_rate"]["value"] == pytest.approx(72, abs=3)
    assert document["vitals"]["pulse_strength"]["status"] == "experimental"
    assert 0 < document["vitals"]["pulse_strength"]["value"] < 10


def test_a_new_vital_has_an_event(tree: Path) -> None:
    program = (
        "from shared.schemas import VitalEvent; "
        'vital = {"value": 1.5, "unit": "%", "status": "experimental"}; '
        'print(VitalEvent(name="pulse_strength", vital=vital).vital.value)'
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tree, capture_output=True, text=True, check=False)
    assert done.stdout == "1.5\n", done.stderr


def test_a_new_model_is_listed_as_missing_and_then_as_installed(tree: Path) -> None:
    def state() -> str:
        return next(str(model["state"]) for model in facevitals(tree, "models", "--json") if model["name"] == "tinynet")

    assert state() == "missing"
    (tree / "models").mkdir(exist_ok=True)
    (tree / "models" / "tinynet.pth").write_bytes(b"weights")
    assert state() == "installed"


def test_the_builder_of_the_new_model_is_found(tree: Path) -> None:
    script = """
        from workers.models.build import builder_of
        from workers.models.manifest import MODELS
        print(builder_of(next(entry for entry in MODELS if entry.name == "tinynet")).graph_of.__doc__)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": str(tree)},
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Build the serialised network" in done.stdout, done.stderr
