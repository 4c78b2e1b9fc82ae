"""tools/environment.sh finds a supported Python, or reports what to install.

A machine is a PATH of a few commands and a home folder. Its `python3`, where it has one, reports another version than
the real interpreter behind it.
"""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.service.test_environment_script import checkout, run_small

__all__ = ["checkout"]

#: Commands that the set-up uses beside bash, a Python and uv.
COMMANDS = ("bash", "cat", "cksum", "dirname", "env", "flock", "ls", "mkdir", "rm", "sed", "sh")
#: The interpreter of this environment, with links resolved.
REAL = str(Path(sys.executable).resolve())
#: `-c` programs see another version; everything else runs on the real interpreter, `-m venv` for example.
STUB = """\
import sys
sys.version_info = (*{version}, 0, "final", 0)
program, sys.argv = sys.argv[1], ["-c", *sys.argv[2:]]
exec(program)
"""


@dataclass
class Machine:
    """A PATH and a home folder."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bin, self.home = self.folder / "bin", self.folder / "home"
        self.bin.mkdir(parents=True)
        self.home.mkdir()
        for name in COMMANDS:
            if found := shutil.which(name):
                (self.bin / name).symlink_to(found)
        # Keeps the registry and the caches of this machine, but not its interpreters.
        kept = {
            name: value for name, value in os.environ.items() if name not in {"PYTHON", "PYTHONPATH", "VIRTUAL_ENV"}
        }
        home = Path.home()
        self.env = {
            **{name: value for name, value in kept.items() if not name.startswith(("UV_PYTHON", "PYENV", "HOMEBREW"))},
            "XDG_CONFIG_HOME": os.environ.get("XDG_CONFIG_HOME", str(home / ".config")),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(home / ".cache")),
            "XDG_DATA_HOME": str(self.home / "data"),
            "HOME": str(self.home),
            "PATH": str(self.bin),
        }

    def command(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}")
        path.chmod(0o755)

    def stub(self, version: tuple[int, int]) -> None:
        """Add a `python3` that reports that version."""
        program = shlex.quote(STUB.format(version=version))
        inner = f'program=$2; shift 2; exec {shlex.quote(REAL)} -c {program} "$program" "$@"'
        self.command("python3", f'case $1 in -c) {inner} ;; esac\nexec {shlex.quote(REAL)} "$@"\n')

    def set_up(self, checkout: Path, **env: str) -> "subprocess.CompletedProcess[str]":
        command = [str(self.bin / "bash"), str(checkout / "tools/environment.sh"), "gateway", "env"]
        variables = {**self.env, **env}
        return subprocess.run(command, cwd="/", env=variables, capture_output=True, text=True, check=False, timeout=250)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13), (3, 14)])
def test_every_supported_python_sets_up_an_environment(
    checkout: Path, machine: Machine, version: tuple[int, int]
) -> None:
    machine.stub(version)
    done = machine.set_up(checkout)
    assert done.returncode == 0, done.stderr
    assert run_small(checkout) == "here"


@pytest.mark.parametrize("place", [".pyenv/versions/3.{}.99", "data/uv/python/cpython-3.{}.99-linux", "brew"])
def test_a_supported_python_outside_of_path_is_found(checkout: Path, machine: Machine, place: str) -> None:
    machine.stub((3, 10))
    minor = sys.version_info[1]
    if place == "brew":
        machine.env["HOMEBREW_PREFIX"] = str(machine.home / "brew")
        place = "brew/opt/python@3.{}"
    folder = machine.home / place.format(minor) / "bin"
    folder.mkdir(parents=True)
    (folder / f"python3.{minor}").symlink_to(REAL)
    found = subprocess.run(
        [machine.bin / "bash", checkout / "tools/python.sh"],
        env=machine.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")
    # On macOS a real Homebrew may be found instead.
    assert found.stdout.strip() == str(folder / f"python3.{minor}") or sys.platform == "darwin"


@pytest.mark.parametrize("version", [None, (3, 10), (3, 15)], ids=["none", "too-old", "too-new"])
def test_one_sentence_names_what_to_install_where_no_python_is_supported(
    checkout: Path, machine: Machine, version: tuple[int, int] | None
) -> None:
    if version is not None:
        machine.stub(version)
    done = machine.set_up(checkout)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "Python 3.11, 3.12, 3.13 or 3.14 is needed" in line
    assert "apt-get install python3 python3-venv" in line
    assert "make PYTHON=/path/to/python3" in line
    assert not (checkout / "env").exists()


def test_a_named_python_of_another_version_is_refused(checkout: Path, machine: Machine) -> None:
    machine.stub((3, 15))
    done = machine.set_up(checkout, PYTHON=str(machine.bin / "python3"))
    assert done.returncode == 1
    assert "is not a Python 3.11 to 3.14" in done.stderr
    assert not (checkout / "env").exists()


def test_the_message_names_the_package_that_debian_lacks(checkout: Path, machine: Machine) -> None:
    without = 'if [ "$1" = -m ]; then echo "ensurepip is not available"; exit 1; fi\n'
    machine.command("python3", f'{without}exec {shlex.quote(REAL)} "$@"\n')
    done = machine.set_up(checkout)
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("env", "seen"),
    [
        ({}, ""),
        ({"PIP_CERT": "/ours.pem"}, "/ours.pem"),
        ({"PIP_CERT": "/ours.pem", "SSL_CERT_FILE": "/uvs.pem"}, "/uvs.pem"),
    ],
)
def test_a_certificate_authority_set_for_pip_is_used_by_uv(
    checkout: Path, machine: Machine, env: dict[str, str], seen: str
) -> None:
    machine.command("python3", f'exec {shlex.quote(REAL)} "$@"\n')
    # The checkout's installer is one that only reports the variable.
    (checkout / ".venv").unlink()
    installer = checkout / ".venv/bin"
    installer.mkdir(parents=True)
    (installer / "python").symlink_to(REAL)
    lock = (checkout / "requirements/bootstrap.lock").read_text()
    release = lock.split("uv==", 1)[1].split()[0]
    script = f'#!/bin/sh\nif [ "$1" = --version ]; then echo "uv {release}"; exit; fi\n'
    (installer / "uv").write_text(script + 'echo "$SSL_CERT_FILE" >"$HOME/seen"\nexit 1\n')
    (installer / "uv").chmod(0o755)
    unset = {"PIP_CERT": "", "SSL_CERT_FILE": "", "PIP_CONFIG_FILE": os.devnull}
    assert machine.set_up(checkout, **{**unset, **env}).returncode == 1
    assert (machine.home / "seen").read_text().strip() == seen


def test_two_set_ups_at_once_wait_for_each_other_without_flock(checkout: Path, machine: Machine) -> None:
    (machine.bin / "flock").unlink(missing_ok=True)
    (machine.bin / "python3").symlink_to(REAL)
    command = [str(machine.bin / "bash"), str(checkout / "tools/environment.sh"), "gateway", "env"]
    both = [subprocess.Popen(command, env=machine.env, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    output = [process.communicate(timeout=200)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], output
    assert sum("Installing" in text for text in output) == 1
