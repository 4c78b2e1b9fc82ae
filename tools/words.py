"""Finds words of tools/words.toml where a reader meets them, and what to write instead.

    python tools/words.py                    every scope
    python tools/words.py --scope docs       one or more scopes
    python tools/words.py --count            occurrences per 1,000 words, by file

Scopes:

- `docs`: the prose of Markdown files, without code blocks and inline code;
- `names`: names of modules, functions, classes, methods, parameters, constants and fields in Python, tests included;
- `docstrings`: docstrings of the installed packages;
- `texts`: descriptions, summaries and titles in `api`, `shared` and `facevitals` (OpenAPI, settings, `--help`), and the
  page's English texts.

Prints `file:line: word → suggestion` for each occurrence and exits 1 if there is one.
"""

import argparse
import ast
import gc
import os
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
WORDS: Final = Path(__file__).with_name("words.toml")

PACKAGES: Final = ("api", "workers", "shared", "facevitals", "lab")
#: Rooms of Python code whose names are checked.
PYTHON: Final = (*PACKAGES, "tests", "tools")
#: Packages whose keyword texts reach users: OpenAPI's descriptions, settings, the command line's help.
TEXTS: Final = ("api", "shared", "facevitals")
TEXT_KEYWORDS: Final = frozenset({"description", "summary", "title", "help", "response_description"})
ENGLISH: Final = "web/src/strings/en.ts"

#: Folders that hold nothing of the repository's own.
SKIPPED: Final = frozenset({"node_modules", "artefacts", "bench-out", "dist", "build", "__pycache__"})


class Text(NamedTuple):
    """A piece of text, and the line of the file on which it begins."""

    line: int
    text: str


class Finding(NamedTuple):
    """A refused word: where it is, and what to write instead."""

    file: str
    line: int
    word: str
    write: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.word} → {self.write}"


@dataclass(frozen=True)
class Allowance:
    """A place where a word may stay; without a text, the whole file."""

    file: str
    reason: str
    text: str = ""


@dataclass(frozen=True)
class Rules:
    """Patterns of words and of names, each with what to write instead, and the allowances."""

    words: tuple[tuple[re.Pattern[str], str], ...]
    names: tuple[tuple[re.Pattern[str], str], ...]
    allowances: tuple[Allowance, ...]

    @classmethod
    def read(cls, path: Path = WORDS) -> "Rules":
        """Read the list.

        Raises:
            KeyError: an entry lacks a field.
            TypeError: an allowance lacks its file or its reason, or has a field that is not known.
        """
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(
            words=tuple(
                (re.compile(rf"\b(?:{each['pattern']})\b", re.IGNORECASE), each["write"]) for each in content["word"]
            ),
            names=tuple((re.compile(each["pattern"]), each["write"]) for each in content["name"]),
            allowances=tuple(Allowance(**each) for each in content.get("allow", [])),
        )

    def without_allowed(self, file: str, text: str) -> str:
        """The text with its file's allowed passages blanked; lines keep their numbers."""
        for allowed in self.allowances:
            if allowed.file == file:
                passage = allowed.text or text
                text = text.replace(passage, re.sub(r"[^\n]", " ", passage))
        return text


def files(root: Path, suffix: str, rooms: tuple[str, ...] = (".",)) -> list[Path]:
    """Files below the rooms that end with the suffix, sorted, without hidden and generated folders."""
    found: list[Path] = []
    for room in rooms:
        for folder, below, names in os.walk(root / room):
            below[:] = [name for name in below if name not in SKIPPED and not name.startswith(".")]
            found += [Path(folder, name) for name in names if name.endswith(suffix)]
    return sorted(found)


@cache
def parsed(path: Path) -> ast.Module:
    """A Python file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """A node and every statement below it, without the expressions: far fewer nodes than `ast.walk` visits."""
    yield node
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(node, field, ()):
            yield from statements(child)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def prose(text: str) -> str:
    """A Markdown page's prose: code, links' targets and the settings table are blanked, lines keep their numbers.

    The settings table repeats the descriptions in `shared/settings.py`, which scope `texts` checks.
    """
    text = re.sub(r"^\| `FACEVITALS_….*?(?=^$)", _blank, text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^( *)(```|~~~).*?^\1\2[^\n]*$", _blank, text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(?: {4}|\t)(?! *[-*\d]).*$", _blank, text, flags=re.MULTILINE)
    text = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", _blank, text, flags=re.DOTALL)
    return re.sub(r"(?<=\])\([^)\s]*\)", _blank, text)


def docs(root: Path) -> Iterator[tuple[Path, list[Text]]]:
    """The prose of each Markdown file."""
    for path in files(root, ".md"):
        yield path, [Text(1, path.read_text(encoding="utf-8"))]


def _names(path: Path) -> Iterator[Text]:
    """Names that a module defines, without local variables."""
    for node in statements(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield Text(node.lineno, node.name)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            yield from (Text(each.lineno, each.arg) for each in given if each is not None)
        if isinstance(node, ast.Module | ast.ClassDef):
            for statement in node.body:
                targets = statement.targets if isinstance(statement, ast.Assign) else []
                if isinstance(statement, ast.AnnAssign):
                    targets = [statement.target]
                for target in targets:
                    yield from (Text(each.lineno, each.id) for each in ast.walk(target) if isinstance(each, ast.Name))


def names(root: Path) -> Iterator[tuple[Path, list[Text]]]:
    """The names that each Python file defines, its module's name first."""
    for path in files(root, ".py", PYTHON):
        own = path.parent.name if path.stem in {"__init__", "__main__"} else path.stem
        yield path, [Text(1, own), *_names(path)]


def docstrings(root: Path) -> Iterator[tuple[Path, list[Text]]]:
    """The docstrings of each Python file of the packages."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for path in files(root, ".py", PACKAGES):
        found = []
        for node in statements(parsed(path)):
            match node.body[0] if isinstance(node, documented) and node.body else None:
                case ast.Expr(value=ast.Constant(value=str(text), lineno=line)):
                    found.append(Text(line, text))
        yield path, found


def texts(root: Path) -> Iterator[tuple[Path, list[Text]]]:
    """Strings given as description, summary, title or help, and the literals of the page's English texts."""
    for path in files(root, ".py", TEXTS):
        found = []
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.keyword) and node.arg in TEXT_KEYWORDS:
                parts = [each for each in ast.walk(node.value) if isinstance(each, ast.Constant)]
                found += [Text(each.lineno, each.value) for each in parts if isinstance(each.value, str)]
        yield path, found
    english = root / ENGLISH
    if english.exists():
        content = re.sub(r"^\s*//.*$", _blank, english.read_text(encoding="utf-8"), flags=re.MULTILINE)
        literals = re.finditer(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|`(?:[^`\\]|\\.)*`", content)
        yield english, [Text(content.count("\n", 0, each.start()) + 1, each[0]) for each in literals]


SCOPES: Final = {"docs": docs, "names": names, "docstrings": docstrings, "texts": texts}


def parts_of(name: str) -> list[str]:
    """The words of a name: `snake_case` and `CamelCase` apart."""
    return re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)


@cache
def in_name(name: str, rules: Rules) -> tuple[str, ...]:
    """What to write instead of a name's refused parts, once for each entry of the list."""
    parts = parts_of(name)
    found = [write for pattern, write in rules.words if any(pattern.fullmatch(part) for part in parts)]
    return (*found, *(write for pattern, write in rules.names if pattern.search(name)))


def readable(scope: str, text: str) -> str:
    """What a reader reads of a text as prose: without code."""
    if scope == "docs":
        return prose(text)
    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", _blank, text, flags=re.DOTALL) if scope == "docstrings" else text


def check(root: Path, scope: str, rules: Rules) -> Iterator[Finding]:
    """Every refused word in a scope."""
    for path, pieces in SCOPES[scope](root):
        file = path.relative_to(root).as_posix()
        for line, original in pieces:
            text = rules.without_allowed(file, original)
            if scope == "names":
                yield from (Finding(file, line, text, write) for write in in_name(text, rules))
                continue
            text = readable(scope, text)
            for pattern, write in rules.words:
                for match in pattern.finditer(text):
                    yield Finding(file, line + text.count("\n", 0, match.start()), match[0], write)


def words_in(root: Path, scope: str) -> Counter[str]:
    """How many words each file has in a scope."""
    return Counter(
        {
            path.relative_to(root).as_posix(): sum(
                len(parts_of(text) if scope == "names" else readable(scope, text).split()) for _, text in pieces
            )
            for path, pieces in SCOPES[scope](root)
        }
    )


def print_counts(root: Path, scope: str, rules: Rules) -> None:
    """Print a scope's occurrences, words, and occurrences per 1,000 words, by file and in all."""
    found, words = Counter(each.file for each in check(root, scope, rules)), words_in(root, scope)
    for label, count, total in [
        (scope, found.total(), words.total()),
        *((f"  {file}", count, words[file]) for file, count in found.most_common()),
    ]:
        print(f"{label}: {count} in {total} words, {1000 * count / max(total, 1):.1f} per 1,000")


def main() -> int:
    """The command line. Returns 1 if a refused word was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--scope", nargs="+", choices=tuple(SCOPES), default=list(SCOPES))
    parser.add_argument("--count", action="store_true", help="print occurrences per 1,000 words instead")
    parser.add_argument("--root", type=Path, default=ROOT)
    arguments = parser.parse_args()
    gc.disable()  # collections while the syntax trees are built would double the time
    rules = Rules.read()
    found = []
    for scope in arguments.scope:
        if arguments.count:
            print_counts(arguments.root, scope, rules)
        else:
            found += list(check(arguments.root, scope, rules))
    for each in sorted(found, key=lambda each: (each.file, each.line)):
        print(each)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
