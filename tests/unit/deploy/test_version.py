"""The version comes from the git tag, also for archives, and has a fallback where there is neither."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[3]
#: What hatchling reads to find the version.
FILES = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitattributes", ".git_archival.txt")
FALLBACK = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["version"]["fallback-version"]


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of two commits that holds what the version depends on; without a tag."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "First")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "Second")
    return folder


def version(folder: Path, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SETUPTOOLS_SCM_")}
    run = subprocess.run(
        [sys.executable, "-m", "hatchling", "version"],
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()


def archive(checkout: Path, place: Path) -> Path:
    git(checkout, "archive", "--output", str(checkout.with_suffix(".tar")), "HEAD")
    with tarfile.open(checkout.with_suffix(".tar")) as tar:
        tar.extractall(place, filter="data")
    return place


def test_a_tagged_commit_has_the_version_of_its_tag(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "tag", "v0.3.0")
    git(checkout, "tag", "nightly")
    assert version(checkout) == "0.3.0"
    assert version(archive(checkout, tmp_path / "archive")) == "0.3.0"


def test_a_later_commit_is_a_development_version_of_the_next_release(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "tag", "v0.3.0")
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "Third")
    assert version(checkout) == "0.3.1.dev1"
    assert version(archive(checkout, tmp_path / "archive")) == "0.3.1.dev1"


def test_without_a_tag_the_fallback_names_the_release_to_come(checkout: Path, tmp_path: Path) -> None:
    assert version(checkout) == f"{FALLBACK.removesuffix('dev0')}dev2"
    assert version(archive(checkout, tmp_path / "archive")) == FALLBACK


def test_without_git_the_fallback_is_the_version(checkout: Path) -> None:
    assert version(checkout, PATH="/nonexistent") == FALLBACK
    shutil.rmtree(checkout / ".git")
    assert version(checkout) == FALLBACK


def test_images_get_the_version_by_a_build_argument(checkout: Path) -> None:
    for name in ("Dockerfile.api", "Dockerfile.gpu"):
        text = (ROOT / name).read_text()
        assert text.count("ARG VERSION=\nRUN SETUPTOOLS_SCM_PRETEND_VERSION=$VERSION ") == text.count(
            " install --no-cache-dir"
        )
    shutil.rmtree(checkout / ".git")
    assert version(checkout, SETUPTOOLS_SCM_PRETEND_VERSION="0.3.0") == "0.3.0"
    assert version(checkout, SETUPTOOLS_SCM_PRETEND_VERSION="") == FALLBACK


def test_the_fallback_is_no_earlier_than_the_newest_release_of_the_changelog() -> None:
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert FALLBACK.endswith(".dev0")
    assert Version(FALLBACK.removesuffix(".dev0")) >= Version(newest[1])
