"""Dockerfile.api and Dockerfile.gpu: linted and checked for their properties."""

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

import pytest

from api import page
from api.page import INSTALLED_BUNDLE
from shared.settings import Settings

ROOT = Path(__file__).parents[3]
DOCKERFILES = ("Dockerfile.api", "Dockerfile.gpu")


def instructions(name: str) -> list[tuple[str, str]]:
    """(instruction, arguments) in order; comments dropped, continued lines joined."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word.upper(), rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def stages(name: str) -> dict[str, list[tuple[str, str]]]:
    """The instructions of each named stage, in order of appearance."""
    found: dict[str, list[tuple[str, str]]] = {}
    for word, rest in instructions(name):
        if word == "FROM":
            stage = rest.split(" AS ")[1]
            found[stage] = []
        found[stage].append((word, rest))
    return found


def images(name: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """The stages of final images, without build stages."""
    return [(stage, body) for stage, body in stages(name).items() if any(word == "CMD" for word, _ in body)]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_finds_nothing(name: str) -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    check = subprocess.run([hadolint, ROOT / name], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.parametrize("name", DOCKERFILES)
def test_every_copied_file_exists_and_is_in_the_build_context(name: str) -> None:
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert patterns[0] == "*"
    sent = {pattern[1:] for pattern in patterns if pattern[0] == "!"}
    copied = [rest.split()[:-1] for word, rest in instructions(name) if word == "COPY" and "--from=" not in rest]
    assert copied
    assert not sent & {"tests", ".git", ".env", ".venv", "artefacts"}
    for sources in copied:
        for source in sources:
            assert (ROOT / source).exists(), source
            assert any(fnmatch.fnmatch(source.split("/")[0], pattern) for pattern in sent), source


@pytest.mark.parametrize("name", DOCKERFILES)
def test_base_images_are_pinned_and_stages_exist(name: str) -> None:
    known: set[str] = set()
    for word, rest in instructions(name):
        if word == "FROM":
            base, _, stage = rest.partition(" AS ")
            assert base in known or re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*", base), base
            assert stage
            known.add(stage)
        for reference in re.findall(r"--from=(\S+)", rest):
            assert reference in known, reference


@pytest.mark.parametrize("name", DOCKERFILES)
def test_every_installation_uses_locked_hashes(name: str) -> None:
    steps = [step for word, rest in instructions(name) if word == "RUN" for step in rest.split("&&")]
    installs = [step for step in steps if re.search(r"\bpip\b.* install ", step)]
    assert installs
    for install in installs:
        assert "--no-deps" in install
        assert "--require-hashes" in install or "--no-build-isolation" in install


def test_each_image_uses_its_lock() -> None:
    lock = {
        stage: next(rest.split()[0] for word, rest in body if word == "COPY" and rest.startswith("requirements/"))
        for name in DOCKERFILES
        for stage, body in stages(name).items()
        if stage.endswith("environment")
    }
    assert lock == {
        "gateway-environment": "requirements/gateway.lock",
        "worker-environment": "requirements/default.lock",
        "environment": "requirements/gpu.lock",
    }


def test_every_worker_image_contains_the_face_mesh() -> None:
    for name, stage in (("Dockerfile.api", "worker-environment"), ("Dockerfile.gpu", "environment")):
        steps = [rest for word, rest in stages(name)[stage] if word == "RUN"]
        assert any("facevitals models fetch --environment mediapipe" in step for step in steps), name


def test_the_default_build_target_is_the_gateway() -> None:
    assert list(stages("Dockerfile.api"))[-1] == "gateway"


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_run_unprivileged_and_receive_signals(name: str) -> None:
    found = images(name)
    assert found
    for stage, body in found:
        (user,) = (rest for word, rest in body if word == "USER")
        assert all(int(number) > 0 for number in user.split(":")), stage
        # A shell in between would not forward SIGTERM.
        (command,) = (rest for word, rest in body if word == "CMD")
        assert command.startswith('["facevitals", '), stage
        assert ("STOPSIGNAL", "SIGTERM") in body


def test_all_images_run_as_the_same_user() -> None:
    users = {rest for name in DOCKERFILES for word, rest in instructions(name) if word == "USER"}
    assert len(users) == 1
    uid, gid = users.pop().split(":")
    for name in DOCKERFILES:
        text = (ROOT / name).read_text()
        assert f"--uid {uid} --gid {gid} " in text
        assert f"install -d -o {uid} -g {gid} -m 0750 " in text


def test_the_page_is_where_the_gateway_looks_for_it() -> None:
    (copied,) = (rest for _, rest in stages("Dockerfile.api")["gateway"] if "--from=page" in rest)
    place = INSTALLED_BUNDLE.relative_to(Path(page.__file__).parents[1])
    packages = Path(copied.split()[-1]).parents[len(place.parts) - 1]
    assert packages.name == "site-packages"
    assert copied.endswith(f"{packages}/{place}")
    (base,) = (rest for word, rest in stages("Dockerfile.api")["python"] if word == "FROM")
    assert f"python:{packages.parent.name.removeprefix('python')}." in base


@pytest.mark.parametrize("name", DOCKERFILES)
def test_each_image_has_a_health_check(name: str) -> None:
    for stage, body in images(name):
        (check,) = (rest for word, rest in body if word == "HEALTHCHECK")
        assert ("/livez" if stage == "gateway" else "workers.alive") in check


@pytest.mark.parametrize("name", DOCKERFILES)
def test_every_setting_in_the_file_exists(name: str) -> None:
    known = {f"FACEVITALS_{field.upper()}" for field in Settings.model_fields}
    assert set(re.findall(r"FACEVITALS_[A-Z0-9_]+", (ROOT / name).read_text())) <= known
