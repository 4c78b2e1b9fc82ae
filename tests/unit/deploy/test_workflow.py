"""The workflows and .ci/run call the same make targets as developers."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / ".github/workflows"
WORKFLOWS = sorted(path.name for path in FOLDER.glob("*.yml"))


def jobs(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((FOLDER / name).read_text())["jobs"]
    return found


def commands(job: dict[str, Any]) -> list[str]:
    """Every line of the job's scripts."""
    return [line.strip() for step in job["steps"] for line in step.get("run", "").splitlines()]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def targets_of_ci_run() -> set[str]:
    """The make targets that .ci/run calls without arguments."""
    script = (ROOT / ".ci/run").read_text()
    lists = re.findall(r"targets\+?=\(([a-z -]+)\)", script) + re.findall(r"for target in ([a-z -]+); do", script)
    return {target for names in lists for target in names.split()}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_each_workflow_follows_the_schema(name: str) -> None:
    check = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(FOLDER / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_to_commits_with_their_release_beside(name: str) -> None:
    used = re.findall(r"uses: (.*)", (FOLDER / name).read_text())
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_an_action_has_the_same_commit_everywhere() -> None:
    used = {match for name in WORKFLOWS for match in re.findall(r"uses: (\S+)@(\S+)", (FOLDER / name).read_text())}
    assert len(used) == len({action for action, _ in used})


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_may_only_read_unless_a_job_publishes(name: str) -> None:
    workflow = yaml.safe_load((FOLDER / name).read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job_name, job in workflow["jobs"].items():
        if "write" in job.get("permissions", {}).values() or "secrets." in str(job):
            assert job_name.startswith("publish-")
        if job_name.startswith("publish-"):
            # Disabled until a maintainer sets a variable of the repository.
            assert re.match(r"\$\{\{ vars\.PUBLISH_[A-Z]+ ", job["if"])


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_target_that_a_workflow_makes_exists(name: str) -> None:
    lines = [line for job in jobs(name).values() for line in commands(job)]
    made = {match[1] for line in lines if (match := re.match(r"make ([a-z-]+)", line))}
    listed = {target for line in lines if line.startswith("bash .ci/run ") for target in line.split()[2:]}
    assert made
    assert made | listed <= targets()


def test_the_jobs_of_ci_run_all_that_the_script_runs() -> None:
    lines = [line for job in jobs("ci.yml").values() for line in commands(job)]
    run = [target for line in lines if line.startswith("bash .ci/run ") for target in line.split()[2:]]
    assert {"check", "run", "test", "test-wheel"} <= targets_of_ci_run()
    assert sorted(run) == sorted(targets_of_ci_run())


def test_ci_runs_on_every_supported_python() -> None:
    job = jobs("ci.yml")["make"]
    assert "bash .ci/run check run test" in commands(job)
    classifiers = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    assert job["strategy"]["matrix"]["python"] == classifiers


def test_ci_runs_the_first_command_with_the_python_of_a_bare_debian() -> None:
    job = jobs("ci.yml")["debian"]
    # A container, because the runner has every Python and the packages of a developer's machine.
    assert job["container"] == "debian:13"
    called = [match[1] for line in commands(job) if (match := re.match(r"make (\S+)", line))]
    assert called == ["run"]
    assert not any("setup-python" in step.get("uses", "") for step in job["steps"])


def test_a_release_checks_the_version_of_wheel_and_images() -> None:
    release = jobs("release.yml")
    history = [step["with"] for step in release["distributions"]["steps"] if "/checkout@" in step.get("uses", "")]
    assert [options["fetch-depth"] for options in history] == [0]
    assert "make test-wheel" in commands(release["distributions"])
    script = "\n".join(commands(release["images"]))
    assert script.count('--build-arg VERSION="${GITHUB_REF_NAME#v}"') == 2
    assert "facevitals --version" in script
    for name in ("facevitals-api", "facevitals-worker", "facevitals-worker-gpu"):
        assert name in script
    for name, job in release.items():
        if name.startswith("publish-"):
            assert job["needs"] == ["distributions", "images"]


def test_the_notes_of_a_release_are_its_section_of_the_changelog(tmp_path: Path) -> None:
    (line,) = (line for line in commands(jobs("release.yml")["distributions"]) if line.startswith("awk "))
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [0.2.0] - x\n\nnew\n\n## [0.1.0] - y\n\nold\n")
    subprocess.run(["bash", "-c", f"version=0.1.0; {line}"], cwd=tmp_path, check=True)
    assert (tmp_path / "notes.md").read_text() == "## [0.1.0] - y\n\nold\n"


def test_ci_runs_every_target_and_fails_if_one_fails(tmp_path: Path) -> None:
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
    for line in ("checked", "7 passed", "shaken"):
        assert f"\n{line}\n" in run.stdout
    assert "\nno\n" not in run.stdout
    assert "test-browser" not in run.stdout

    some = subprocess.run(["bash", tmp_path / ".ci/run", "test", "other"], capture_output=True, text=True, check=False)
    assert some.returncode == 0
    assert "\nno\n" in some.stdout
    assert "checked" not in some.stdout

    (tmp_path / "Makefile").write_text("check run test:\n\t@true\n")
    assert subprocess.run(["bash", tmp_path / ".ci/run"], capture_output=True, check=False).returncode == 0


def test_the_make_targets_of_ci_exist() -> None:
    assert {"check", "run", "test", "default", "dev"} <= targets()
