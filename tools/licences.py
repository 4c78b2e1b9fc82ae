"""Writes docs/licences.md: the licence of every default package and model, and of what wheels bring along.

    python tools/licences.py            writes the page
    python tools/licences.py --check    exits 1 if the page lacks a package, version or model of the lock files

Licences are those that the packages state in their metadata: an SPDX expression, else classifiers, else words.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from workers.models.manifest import MODELS

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "licences.md"
#: A package of a lock file: its name, its version, and the marker of the platforms that need it.
_LOCKED: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: *; *([^\\]+))?", re.MULTILINE)
#: A library beside a wheel's own modules, without the hashes and the version in its name.
_LIBRARY: Final = re.compile(r"^(lib.+?)(?:-[0-9a-f.]{8,})*\.so.*$")
#: Longest licence in words that is shown as it is stated.
_SHORT: Final = 40

_HEAD: Final = """# Licences

What `make run` and the images install, by the licence that each package states. `python tools/licences.py` makes this
page from the lock files, and `make test` fails where it is not of the present ones. It lists facts, and is no legal
advice.

"""
_CODECS: Final = """## What PyAV's wheel means for images

Face Vitals is under Apache-2.0, and PyAV under BSD-3-Clause. PyAV's wheel, however, brings FFmpeg built with **x264 and
x265, which are under GPL-2.0 or later**, so FFmpeg as a whole is under the GPL there. To install it on your own machine
needs nothing. If you hand an **image or another copy** with this wheel to others, you distribute GPL software, and owe
them the source of FFmpeg, x264 and x265. The gateway's image has no PyAV; those of the workers have it.

The service decodes, and encodes nothing. An image without x264 and x265 is made by building PyAV against an FFmpeg
under the LGPL without these two (`pip install av --no-binary av`, with that FFmpeg's `pkg-config` files);
`facevitals simulate` and the benches then lack H.264. Patents may cover codecs whatever the licence of the code:
FFmpeg has a page about it.

"""


def main() -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(prog="python tools/licences.py", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        lacking = missing(PAGE.read_text("utf-8"))
        sys.stderr.writelines(f"docs/licences.md lacks {line}; run python tools/licences.py\n" for line in lacking)
        return 1 if lacking else 0
    parts = [_HEAD, "## Python packages\n\n| package | version | licence | in the gateway |\n|---|---|---|---|\n"]
    gateway = {name for name, _, _ in locked("gateway")}
    parts += [
        f"| {name} | {version} | {licence_of(name, where)} | {'yes' if name in gateway else ''} |\n"
        for name, version, where in locked("default")
    ]
    parts += ["\n## Libraries inside wheels (Linux)\n\n| wheel | libraries |\n|---|---|\n"]
    parts += [f"| {wheel} | {', '.join(libraries)} |\n" for wheel, libraries in bundled()]
    parts += ["\n", _CODECS, "## Models\n\n| model | licence | open | source |\n|---|---|---|---|\n"]
    parts += [
        f"| {entry.name} | {entry.licence} | {'yes' if entry.open_licence else 'no'} | {entry.source} |\n"
        for entry in MODELS
    ]
    parts += ["\n## Packages in the page\n\n| package | version | licence |\n|---|---|---|\n"]
    parts += [f"| {name} | {version} | {licence} |\n" for name, version, licence in page_packages()]
    PAGE.write_text("".join(parts), encoding="utf-8")
    return 0


def missing(page: str) -> list[str]:
    """Rows of packages and models that the page lacks."""
    wanted = [f"| {name} | {version} |" for name, version, _ in locked("default")]
    wanted += [f"| {name} | {version} |" for name, version, _ in page_packages()]
    wanted += [f"| {entry.name} | {entry.licence} |" for entry in MODELS]
    return [row for row in wanted if row not in page]


def locked(name: str) -> list[tuple[str, str, str]]:
    """Name, version and marker of each package of a lock file."""
    text = (ROOT / "requirements" / f"{name}.lock").read_text("utf-8")
    return [(found[1], found[2], (found[3] or "").strip()) for found in _LOCKED.finditer(text)]


def licence_of(name: str, where: str) -> str:
    """What an installed package states as its licence; `where` is the marker of the platforms that need it."""
    try:
        stated = dict(metadata.metadata(name).json)
    except metadata.PackageNotFoundError:
        return f"not installed here ({where})"
    if expression := stated.get("license_expression"):
        return str(expression)
    lines = [line for line in stated.get("classifier", []) if line.startswith("License ::")]
    classifiers = [line.rsplit("::", 1)[-1].strip() for line in lines]
    words = str(stated.get("license", "")).strip()
    return " or ".join(classifiers) or (words if 0 < len(words) <= _SHORT else "see its own pages")


def bundled() -> Iterator[tuple[str, list[str]]]:
    """Wheels with shared libraries beside their modules, and the names of these."""
    site = Path(str(metadata.distribution("av").locate_file("")))
    for folder in sorted(site.glob("*.libs")):
        names = {match[1] for file in folder.iterdir() if (match := _LIBRARY.match(file.name))}
        yield folder.name.removesuffix(".libs"), sorted(names)


def page_packages() -> list[tuple[str, str, str]]:
    """Name, version and licence of each package that the page is built of."""
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text("utf-8"))
    return [
        (path.rsplit("node_modules/", 1)[-1], entry["version"], entry.get("license", "not stated"))
        for path, entry in lock["packages"].items()
        if path and not entry.get("dev") and not entry.get("optional") and not entry.get("peer")
    ]


if __name__ == "__main__":
    sys.exit(main())
