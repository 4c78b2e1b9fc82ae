"""The word list: tools/words.py finds its words in every scope, and the documentation has none of them."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "words.py"
LIST = tomllib.loads((ROOT / "tools" / "words.toml").read_text())

#: For each scope a file with a word of the list, and the line on which the word stands.
REFUSED = {
    "docs": [
        ("README.md", "# A page\n\nThe heart rate is\ntold with an interval.\n", 4),
        ("docs/table.md", "| clips | told |\n|---|---|\n", 1),
    ],
    "names": [
        ("api/witnesses.py", '"""A module."""\n', 1),
        ("workers/a.py", "def told_rate() -> None: ...\n", 1),
        ("workers/b.py", "class ViewKeeper: ...\n", 1),
        ("lab/c.py", "class A:\n    def heard(self) -> None: ...\n", 2),
        ("lab/d.py", "def rate(asked: int) -> None: ...\n", 1),
        ("shared/e.py", "LEAST_GROUPS = 5\n", 1),
        ("shared/f.py", "class A:\n    said_per_min: float\n", 2),
        ("tests/test_a.py", "import os\n\n\ndef test_nobody_hears_a_wall() -> None: ...\n", 4),
    ],
    "docstrings": [
        (f"{package}/a.py", 'def rate() -> None:\n    """The rate,\n    as its witness says."""\n', 3)
        for package in ("api", "workers", "shared", "facevitals", "lab")
    ],
    "texts": [
        ("api/a.py", 'Query(\n    description="What is asked for",\n)\n', 2),
        ("shared/b.py", 'Field(default=1, description="seconds after which a branch " "is told to stop")\n', 1),
        ("facevitals/c.py", 'Option(help=f"{1} says so")\n', 1),
        ("web/src/strings/en.ts", "export const en = {\n  a: 'One',\n  b: 'It could not be told.',\n}\n", 3),
    ],
}

#: Files in which no scope finds anything.
ACCEPTED = {
    "README.md": "# A page\n\nIt prints `told`.\n\n```sh\necho told  # asked\n```\n\n    told\n\n"
    "| `FACEVITALS_…` | default | what |\n|---|---|---|\n| `A` | `1` | a branch is told |\n\n"
    "[A link](docs/told.md). Untold.\n",
    "workers/a.py": '"""The rate; `told` is a name."""\n\n\ndef at_most(almost: int) -> None:\n    told = 1\n',
    "tests/test_a.py": "def test_a_claim() -> None:\n    told = 1\n",
    "web/src/strings/en.ts": "// told\nexport const told = 'reported'\n",
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True, check=False)


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_the_project_has_no_word_of_the_list() -> None:
    done = run()
    assert done.returncode == 0, f"write the words on the right instead (tools/words.toml):\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("scope", REFUSED)
def test_every_scope_finds_a_word_and_names_its_place(scope: str, tmp_path: Path) -> None:
    for name, text, line in REFUSED[scope]:
        write(tmp_path, name, text)
        done = run("--scope", scope, "--root", str(tmp_path))
        assert done.returncode == 1, name
        assert f"{name}:{line}: " in done.stdout
        (tmp_path / name).unlink()


def test_code_links_and_longer_words_are_not_words_of_the_list(tmp_path: Path) -> None:
    for name, text in ACCEPTED.items():
        write(tmp_path, name, text)
    done = run("--root", str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_counts_are_per_thousand_words(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "told " + "word " * 499)
    assert run("--scope", "docs", "--count", "--root", str(tmp_path)).stdout.splitlines() == [
        "docs: 1 in 500 words, 2.0 per 1,000",
        "  a.md: 1 in 500 words, 2.0 per 1,000",
    ]


def test_exceptions_are_few_and_each_has_a_reason_and_a_place() -> None:
    allowances = LIST.get("allow", [])
    assert len(allowances) < 15
    for allowed in allowances:
        assert allowed["reason"], allowed
        assert allowed.get("text", "") in (ROOT / allowed["file"]).read_text(), f"no longer needed: {allowed}"
