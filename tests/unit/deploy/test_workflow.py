"""The workflow and .ci/run call what people call."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
WORKFLOW = ROOT / ".github/workflows/ci.yml"


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_workflow_follows_its_schema() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_the_workflow_calls_make_on_every_supported_python() -> None:
    job: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]["make"]
    called = {match[1] for step in job["steps"] if (match := re.match(r"make (\S+)", step.get("run", "")))}
    assert called == {"check", "run", "test"}
    classifiers = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    assert job["strategy"]["matrix"]["python"] == classifiers


def test_the_workflow_calls_make_where_the_only_python_is_another_one() -> None:
    job: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]["other-python"]
    # An image, because a runner's own has every Python. Debian 13 has Python 3.13.
    assert job["container"] == "debian:13"
    called = [match[1] for step in job["steps"] if (match := re.match(r"make (\S+)", step.get("run", "")))]
    assert called == ["run", "test"]
    assert not any("setup-python" in step.get("uses", "") for step in job["steps"])


def test_ci_runs_everything_and_fails_if_anything_does(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci/run").write_text((ROOT / ".ci/run").read_text())
    recipes = {
        "check": "echo checked",
        "run": "exit 3",
        "test": "echo 7 passed",
        "test-chaos": "echo shaken",
        "other": "echo no",
    }
    (tmp_path / "Makefile").write_text("".join(f"{name}:\n\t@{recipe}\n" for name, recipe in recipes.items()))
    run = subprocess.run(["bash", tmp_path / ".ci/run"], cwd="/", capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stdout.splitlines()[-1] == "failed: run"
    for said in ("checked", "7 passed", "shaken"):
        assert f"\n{said}\n" in run.stdout
    assert "\nno\n" not in run.stdout
    assert "test-browser" not in run.stdout

    (tmp_path / "Makefile").write_text("check run test:\n\t@true\n")
    assert subprocess.run(["bash", tmp_path / ".ci/run"], capture_output=True, check=False).returncode == 0


def test_the_targets_of_ci_exist() -> None:
    assert {"check", "run", "test", "default", "dev"} <= targets()
