"""A wheel holds the page or is not built; an editable installation needs no page."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("api", "workers", "shared", "lab", "facevitals")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What a build reads, with packages of one module each; without a page."""
    place = tmp_path / "project"
    place.mkdir()
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore"):
        shutil.copy(ROOT / name, place)
    for package in PACKAGES:
        (place / package).mkdir()
        (place / package / "__init__.py").touch()
    return place


def build(project: Path, target: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", "dist"]
    return subprocess.run(
        command, cwd=project, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_without_the_page_nothing_is_released(project: Path, target: str) -> None:
    failed = build(project, target)
    assert failed.returncode == 1
    assert "Run `make web`" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not list(project.glob("dist/*"))


def test_the_page_goes_into_the_wheel_and_the_source_distribution(project: Path) -> None:
    (project / "web/dist/assets").mkdir(parents=True)
    (project / "web/dist/index.html").write_text("<!doctype html>")
    (project / "web/dist/assets/page.js").write_text("")
    for target in ("wheel", "sdist"):
        built = build(project, target)
        assert built.returncode == 0, built.stderr
    (wheel,) = project.glob("dist/*.whl")
    assert {"api/bundle/index.html", "api/bundle/assets/page.js"} <= set(zipfile.ZipFile(wheel).namelist())
    (source,) = project.glob("dist/*.tar.gz")
    with tarfile.open(source) as tar:
        held = {name.partition("/")[2] for name in tar.getnames()}
    assert {"web/dist/index.html", "web/dist/assets/page.js", "hatch_build.py"} <= held


def test_images_build_without_the_page(project: Path) -> None:
    assert build(project, "wheel", BUILD_WITHOUT_PAGE="1").returncode == 0


def test_an_editable_installation_needs_no_page(project: Path) -> None:
    built = build(project, "wheel:editable")
    assert built.returncode == 0, built.stderr
