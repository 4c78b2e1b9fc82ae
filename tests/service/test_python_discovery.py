"""tools/environment.sh on machines with an unsupported Python or with none: Debian 13, Homebrew, bare machines.

A machine is a PATH of a few commands and a home folder. Its Python is a real 3.13 or later if one is installed
here, or a stub that reports such a version. uv fetches a Python from a list and an archive made by this test, and
checks the hash as for its own list.
"""

import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from facevitals.local.broker import free_port
from tests.service.test_environment_script import checkout, run_small

__all__ = ["checkout"]

#: Commands that the set-up uses beside bash, a Python and uv.
COMMANDS = ("bash", "cat", "cksum", "dirname", "env", "flock", "head", "ls", "mkdir", "mktemp", "rm", "sed", "sh")
#: The interpreter of this environment, with links resolved.
REAL = str(Path(sys.executable).resolve())
#: `-c` programs see another version; everything else runs on the real interpreter, `-m venv` for example.
STUB = """\
import sys
sys.version_info = (*{version}, 0, "final", 0)
program, sys.argv = sys.argv[1], ["-c", *sys.argv[2:]]
exec(program)
"""

#: uv adapts this module to the folder into which it unpacks; it recognises it by its first line.
SYSCONFIG = "# system configuration generated and used by the sysconfig module\nbuild_time_vars = {}\n"


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
            # Downloads from other places fail at once.
            "UV_PYTHON_INSTALL_MIRROR": f"http://127.0.0.1:{free_port()}",
            "UV_HTTP_RETRIES": "0",
        }

    def command(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}")
        path.chmod(0o755)

    def stub(self, version: tuple[int, int]) -> None:
        """Add a `python3` that reports that version. uv, which would find its real version, gets no answer."""
        program = shlex.quote(STUB.format(version=version))
        inner = f'program=$2; shift 2; exec {shlex.quote(REAL)} -c {program} "$program" "$@"'
        self.command("python3", f'case $1 in -c) {inner} ;; -I) exit 1 ;; esac\nexec {shlex.quote(REAL)} "$@"\n')

    def set_up(self, checkout: Path, **env: str) -> "subprocess.CompletedProcess[str]":
        command = [str(self.bin / "bash"), str(checkout / "tools/environment.sh"), "gateway", "env"]
        # Empty variables are removed: uv uses no mirror together with a list.
        variables = {name: value for name, value in {**self.env, **env}.items() if value}
        return subprocess.run(command, cwd="/", env=variables, capture_output=True, text=True, check=False, timeout=250)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.fixture
def published(tmp_path: Path) -> dict[str, str]:
    """Settings that let uv fetch an archive of this test: a Python that runs the one of this environment."""
    folder = tmp_path / "published"
    major, minor, patch = sys.version_info[:3]
    root = folder / "python"
    library = root / f"lib/python{major}.{minor}"
    library.mkdir(parents=True)
    (root / "bin").mkdir()
    python = root / f"bin/python{major}.{minor}"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(REAL)} "$@"\n')
    python.chmod(0o755)
    (library / f"{sysconfig._get_sysconfigdata_name()}.py").write_text(SYSCONFIG)  # type: ignore[attr-defined]
    archive = folder / "cpython.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(root, "python")
    mac = sys.platform == "darwin"
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine())
    system, libc = ("darwin", "none") if mac else ("linux", "gnu")
    entry = {
        "name": "cpython",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "variant": None,
        "arch": {"family": machine, "variant": None},
        "os": system,
        "libc": libc,
        "build": "20260101",
        "url": archive.as_uri(),
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
    }
    index = folder / "list.json"
    index.write_text(json.dumps({f"cpython-{major}.{minor}.{patch}-{system}-{machine}-{libc}": entry}))
    return {"UV_PYTHON_DOWNLOADS_JSON_URL": str(index), "UV_PYTHON_INSTALL_MIRROR": ""}


def is_supported(checkout: Path) -> bool:
    program = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([checkout / "env/bin/python", "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split() in (["3", "11"], ["3", "12"])


def left_behind(checkout: Path) -> list[Path]:
    return list(checkout.glob(".venv-setup*"))


def newer_python() -> str | None:
    """A real Python 3.13 or later of this machine that can make environments."""
    named = [shutil.which(f"python3.{minor}") for minor in (14, 13)]
    for python in [*filter(None, named), *sorted(map(str, Path.home().glob(".pyenv/versions/3.1[34]*/bin/python3")))]:
        program = "import sys, ensurepip, venv; raise SystemExit(sys.version_info < (3, 13))"
        if subprocess.run([python, "-c", program], capture_output=True, check=False).returncode == 0:
            return python
    return None


def test_a_machine_whose_only_python_is_too_new_is_set_up(
    checkout: Path, machine: Machine, published: dict[str, str]
) -> None:
    # A first set-up has no environment with uv.
    (checkout / ".venv").unlink()
    if newer := newer_python():
        machine.command("python3", f'exec {shlex.quote(newer)} "$@"\n')
    else:
        machine.stub((3, 14))
    done = machine.set_up(checkout, **published)
    assert done.returncode == 0, done.stderr
    assert "Fetching a Python" in done.stderr
    assert run_small(checkout) == "here"
    assert is_supported(checkout)
    assert not left_behind(checkout)
    again = machine.set_up(checkout, **published)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_a_machine_with_uv_and_no_python_is_set_up(checkout: Path, machine: Machine, published: dict[str, str]) -> None:
    (machine.bin / "uv").symlink_to(Path(sys.prefix) / "bin/uv")
    (checkout / ".venv").unlink()
    done = machine.set_up(checkout, **published)
    assert done.returncode == 0, done.stderr
    assert run_small(checkout) == "here"


@pytest.mark.parametrize("place", [".pyenv/versions/3.{}.99", "data/uv/python/cpython-3.{}.99-linux", "brew"])
def test_a_supported_python_outside_of_path_is_found(checkout: Path, machine: Machine, place: str) -> None:
    machine.stub((3, 13))
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
    (checkout / ".venv").unlink()
    machine.command("uv", 'if [ "$1" = --version ]; then exit 0; fi\necho "$SSL_CERT_FILE" >"$HOME/seen"\nexit 1\n')
    sentence(machine.set_up(checkout, **{"PIP_CERT": "", "SSL_CERT_FILE": "", **env}))
    assert (machine.home / "seen").read_text().strip() == seen


def sentence(done: "subprocess.CompletedProcess[str]") -> str:
    """The last line, which explains what to do; the lines before it report progress only."""
    assert done.returncode == 1
    assert done.stdout == ""
    *before, last = done.stderr.splitlines()
    assert len(before) <= 2, done.stderr
    assert "Python 3.11 or 3.12 is needed" in last
    assert "make PYTHON=/path/to/python3.12" in last
    return last


def test_one_sentence_explains_what_to_do_where_uv_reaches_nothing(checkout: Path, machine: Machine) -> None:
    machine.stub((3, 13))
    output = sentence(machine.set_up(checkout))
    assert "Failed to download `http://127.0.0.1" in output
    assert "UV_PYTHON_INSTALL_MIRROR" in output
    assert not (checkout / "env").exists()


def test_an_archive_with_another_hash_is_refused(checkout: Path, machine: Machine, published: dict[str, str]) -> None:
    machine.stub((3, 13))
    index = Path(published["UV_PYTHON_DOWNLOADS_JSON_URL"])
    (entry,) = json.loads(index.read_text()).values()
    index.write_text(index.read_text().replace(entry["sha256"], "0" * 64))
    assert "Hash mismatch" in sentence(machine.set_up(checkout, **published))
    assert not (checkout / "env").exists()


def test_the_message_names_the_package_that_debian_lacks(checkout: Path, machine: Machine) -> None:
    (checkout / ".venv").unlink()
    machine.stub((3, 13))
    python = machine.bin / "python3"
    without = 'if [ "$1" = -m ]; then echo "ensurepip is not available"; exit 1; fi\n'
    machine.command("python3", without + python.read_text().removeprefix("#!/bin/sh\n"))
    assert "apt-get install python3-venv" in sentence(machine.set_up(checkout))
    assert not left_behind(checkout)


def test_the_message_names_what_a_bare_machine_lacks(checkout: Path, machine: Machine) -> None:
    (checkout / ".venv").unlink()
    assert "neither a Python nor uv" in sentence(machine.set_up(checkout))


def test_two_set_ups_at_once_wait_for_each_other_without_flock(checkout: Path, machine: Machine) -> None:
    (machine.bin / "flock").unlink(missing_ok=True)
    (machine.bin / "python3").symlink_to(REAL)
    command = [str(machine.bin / "bash"), str(checkout / "tools/environment.sh"), "gateway", "env"]
    both = [subprocess.Popen(command, env=machine.env, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    output = [process.communicate(timeout=200)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], output
    assert sum("Installing" in text for text in output) == 1
