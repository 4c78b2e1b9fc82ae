"""Every path, module, make target, command and link that a Markdown page names exists."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import typer.main
from typer.core import TyperGroup

from facevitals.cli.app import app

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "workers", "shared", "facevitals", "lab")
FOLDERS = (*PACKAGES, "tests", "tools", "deploy", "docs", "web", "requirements", "clients")
SKIPPED = {"node_modules", "artefacts", "bench-out", "dist", "__pycache__"}


def files() -> Iterator[Path]:
    for folder, below, names in os.walk(ROOT):
        below[:] = sorted(name for name in below if name not in SKIPPED and not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names))


FILES = list(files())
NAMES = {path.name for path in FILES}
PAGES = {path: path.read_text() for path in FILES if path.suffix == ".md"}
CODE = re.compile(r"^( *)```.*?^\1```|`[^`\n]+`|^ {4}.*$", re.MULTILINE | re.DOTALL)
#: Text directly before a path of a file that the reader is to create; its folder has to exist.
CREATED = re.compile(r"\b(?:create|new|add|write)(?: \w+){0,3} $", re.IGNORECASE)
#: Folders that are made by a command or by the operator.
IGNORED = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line[:1].isalpha()]


def in_code(pattern: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Matches of a pattern in the code of every page, with the `file:line` of each."""
    for page, text in PAGES.items():
        for code in CODE.finditer(text):
            for match in re.finditer(pattern, code[0], re.MULTILINE):
                line = text.count("\n", 0, code.start() + match.end()) + 1
                yield f"{page.relative_to(ROOT)}:{line}", match


def missing_paths(page: Path, text: str) -> list[str]:
    """Paths in a page's code that are not below the root, nor below the page's folder."""
    missing = []
    for code in CODE.finditer(text):
        created = CREATED.search(text, max(0, code.start() - 60), code.start())
        for match in re.finditer(rf"(?<![\w/.:@-])(?:{'|'.join(FOLDERS)}|src|kubernetes)/[\w./@*-]*[\w/]", code[0]):
            path = str(Path(match[0]).parent) if created else match[0]
            if any(path.startswith(folder) for folder in IGNORED):
                continue
            if not any(next(start.glob(path), None) for start in (ROOT, page.parent)):
                line = text.count("\n", 0, code.start() + match.end()) + 1
                missing.append(f"{page.relative_to(ROOT)}:{line}: {match[0]} does not exist")
    return missing


def headings(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    lines = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def module_file(dotted: str) -> Path | None:
    """The file of a module or of a package's `__init__`."""
    path = ROOT.joinpath(*dotted.split("."))
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.exists()), None)


@cache
def defined(path: Path) -> set[str]:
    """Names that a module defines, imports, or lists as text (`__all__`, a table of lazy imports)."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Name(id=name) | ast.Constant(value=str(name)):
                found.add(name)
            case ast.alias(name=name, asname=other):
                found.add(other or name)
    return found


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module, or a name in one."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        if path := module_file(".".join(parts[:length])):
            return length == len(parts) or parts[length] in defined(path)
    return False


def test_every_path_that_a_page_names_exists() -> None:
    missing = [each for page, text in PAGES.items() for each in missing_paths(page, text)]
    assert not missing, "\n".join(missing)


def test_a_path_that_does_not_exist_is_found_unless_the_reader_is_to_create_it() -> None:
    def found(text: str) -> list[str]:
        return missing_paths(ROOT / "page.md", text)

    assert found("See\n`lab/away.py`.") == ["page.md:2: lab/away.py does not exist"]
    assert found("```sh\ncat docs/away.md\n```\n") == ["page.md:2: docs/away.md does not exist"]
    assert not found("See `lab/simulate/`, `artefacts/away.json`, `web/dist/index.html` and `requirements/*.lock`.")
    assert not found("Create `lab/simulate/away.py`.")
    assert not found("Add a new module `lab/simulate/away.py`.")
    assert found("Create `lab/away/away.py`.")


def test_every_module_and_name_of_a_module_that_a_page_names_exists() -> None:
    missing = [
        f"{place}: {match[0]} is no module, and no name in one"
        for place, match in in_code(rf"(?<![\w/.@-])(?:{'|'.join(PACKAGES)})(?:\.[a-zA-Z_]\w*)+")
        if match[0] not in NAMES and not exists(match[0])
    ]
    for place, match in in_code(rf"from ((?:{'|'.join(PACKAGES)})(?:\.\w+)*) import ([\w, ]+)"):
        missing += [
            f"{place}: {match[1]} has no {name}"
            for name in re.findall(r"(\w+)(?: as \w+)?", match[2])
            if not exists(f"{match[1]}.{name}")
        ]
    assert not missing, "\n".join(missing)


def test_every_module_that_a_page_runs_can_be_run() -> None:
    missing = []
    for place, match in in_code(rf"python[\d.]* -m ((?:{'|'.join(PACKAGES)})(?:\.\w+)*)"):
        path = module_file(match[1])
        if path is None or (path.name == "__init__.py" and not path.with_name("__main__.py").exists()):
            missing.append(f"{place}: python -m {match[1]} can not be run")
    assert not missing, "\n".join(missing)


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z\d-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    missing = [
        f"{place}: the Makefile has no target {target}"
        for place, match in in_code(r"(?:^ *|[`;&(] ?)make (?:-C \S+ )?([a-z][a-z\d -]*)(?=[^a-z\d -]|$)")
        for target in match[1].split()
        if target not in targets
    ]
    assert not missing, "\n".join(missing)


def test_every_command_that_a_page_names_exists() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    missing = []
    for place, match in in_code(
        r"(?:^|(?<!from)(?<!import)[\s`]|bin/)facevitals ([a-z][a-z\d-]*)(?: ([a-z][a-z\d-]*)\b(?![./]))?"
    ):
        command = root.commands.get(match[1])
        if command is None or (isinstance(command, TyperGroup) and match[2] and match[2] not in command.commands):
            missing.append(f"{place}: there is no command {' '.join(filter(None, match.groups()))}")
    assert not missing, "\n".join(missing)


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    missing = []
    for page, text in PAGES.items():
        for match in re.finditer(r"\]\((?!\w+:)([^)\s#]*)(?:#([^)\s]*))?\)", CODE.sub("", text)):
            target = page if not match[1] else page.parent / match[1]
            if not target.exists():
                missing.append(f"{page.relative_to(ROOT)}: {match[1]} does not exist")
            elif match[2] and match[2] not in headings(target.read_text()):
                missing.append(f"{page.relative_to(ROOT)}: {match[1]} has no heading #{match[2]}")
    assert not missing, "\n".join(missing)


def test_the_page_of_licences_is_of_the_present_lock_files() -> None:
    checked = subprocess.run(
        [sys.executable, "tools/licences.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
