"""tools/environment.sh on a small project: interrupted, moved, repeated and concurrent set-ups."""

import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Packages that build the project; the small project needs no others.
BUILD = ("hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in a folder with a space, with three nested locks of five to seven small packages."""
    place = tmp_path / "a checkout"
    (place / "tools").mkdir(parents=True)
    (place / "requirements").mkdir()
    (place / "small").mkdir()
    (place / "small/__init__.py").write_text("def main(): print('here')\n")
    (place / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "small"\nversion = "1"\nscripts = {small = "small:main"}\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["small"]\ndev-mode-dirs = ["."]\n'
    )
    for script in ("environment.sh", "python.sh"):
        shutil.copy(ROOT / "tools" / script, place / "tools")
    shutil.copy(ROOT / "requirements/bootstrap.lock", place / "requirements")
    for lock, packages in {
        "gateway": BUILD,
        "default": (*BUILD, "six"),
        "dev": (*BUILD, "six", "wcwidth"),
    }.items():
        (place / f"requirements/{lock}.lock").write_text(entries(*packages))
    # The installer of this environment is used, as for a second environment of a checkout.
    (place / ".venv").symlink_to(sys.prefix)
    return place


def entries(*packages: str) -> str:
    """The entries of the packages in the largest lock."""
    lock = (ROOT / "requirements/dev.lock").read_text()
    found = [re.search(rf"^{name}==.*\n(?: +--hash.*\n?)+", lock, re.MULTILINE) for name in packages]
    assert all(found)
    return "".join(match[0] for match in found if match)


def set_up(checkout: Path, lock: str = "gateway", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(checkout / "tools/environment.sh"), lock, "env"],
        cwd="/",
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def run_small(checkout: Path) -> str:
    return subprocess.run(["env/bin/small"], cwd=checkout, capture_output=True, text=True, check=True).stdout.strip()


def has(checkout: Path, module: str) -> bool:
    command = [str(checkout / "env/bin/python"), "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_the_second_set_up_returns_at_once(checkout: Path) -> None:
    first = set_up(checkout)
    assert first.returncode == 0, first.stderr
    assert run_small(checkout) == "here"
    before = _children_cpu_s()
    second = set_up(checkout)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    # Processor time, which does not depend on the load of the machine.
    assert _children_cpu_s() - before < 1


def test_an_interrupted_installation_is_completed(checkout: Path) -> None:
    set_up(checkout)
    # The state after an installer was killed: no record, and a package with missing files.
    (checkout / "env/.facevitals").unlink()
    (package,) = (checkout / "env/lib").glob("python3.*/site-packages/pluggy/__init__.py")
    package.unlink()
    again = set_up(checkout)
    assert again.returncode == 0, again.stderr
    assert package.exists()


def test_a_moved_checkout_gets_a_working_environment(checkout: Path) -> None:
    set_up(checkout)
    moved = checkout.rename(checkout.with_name("moved"))
    assert set_up(moved).returncode == 0
    assert run_small(moved) == "here"


def test_packages_removed_from_the_lock_are_uninstalled(checkout: Path) -> None:
    set_up(checkout, "dev")
    assert has(checkout, "wcwidth")
    lock = checkout / "requirements/dev.lock"
    lock.write_text(lock.read_text().replace(entries("wcwidth"), ""))
    assert set_up(checkout, "dev").returncode == 0
    assert not has(checkout, "wcwidth")
    assert run_small(checkout) == "here"


def test_a_larger_environment_is_kept(checkout: Path) -> None:
    set_up(checkout, "dev")
    again = set_up(checkout, "default")
    assert (again.returncode, again.stderr) == (0, "")
    assert has(checkout, "wcwidth")


def test_two_set_ups_at_once_wait_for_each_other(checkout: Path) -> None:
    command = ["bash", str(checkout / "tools/environment.sh"), "default", "env"]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=200)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum("Installing" in text for text in outputs) == 1
    assert run_small(checkout) == "here"


def test_a_folder_that_is_no_environment_is_not_touched(checkout: Path) -> None:
    (checkout / "env").mkdir()
    (checkout / "env/thesis.tex").write_text("three years")
    refused = set_up(checkout)
    assert refused.returncode == 1
    assert "no virtual environment" in refused.stderr
    assert (checkout / "env/thesis.tex").read_text() == "three years"


def test_an_unusable_python_is_named_in_the_error(checkout: Path) -> None:
    refused = set_up(checkout, PYTHON="/bin/cat")
    assert refused.returncode == 1
    assert "PYTHON=/bin/cat" in refused.stderr
    assert set_up(checkout, "unheard-of").returncode == 1


def test_an_unwritable_cache_is_not_used(checkout: Path) -> None:
    done = set_up(checkout, UV_CACHE_DIR="/proc/nowhere/uv", HOME="/proc/nowhere")
    assert done.returncode == 0, done.stderr
    assert run_small(checkout) == "here"
