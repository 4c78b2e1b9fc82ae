"""Which models of the manifest are installed on this machine, intact and allowed."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from workers.models.manifest import MODELS, ModelEntry, sha256_of


class ModelState(StrEnum):
    """Whether a model can be used."""

    INSTALLED = "installed"
    MISSING = "missing"
    ALTERED = "altered"
    EXCLUDED = "excluded"


@dataclass(frozen=True)
class InstalledModel:
    """A manifest entry with its state on this machine and the path of its weights, if they are there."""

    entry: ModelEntry
    state: ModelState
    path: Path | None

    @property
    def command(self) -> str | None:
        """The command that makes the model usable; None if it is usable already or excluded by its licence."""
        return self.entry.command if self.state in {ModelState.MISSING, ModelState.ALTERED} else None


def altered_files(entry: ModelEntry, path: Path) -> list[str]:
    """Names of the files, the weights at `path` and those beside them, that are missing or have another checksum."""
    expected = [(path, entry.sha256), *((path.with_name(name), digest) for name, digest in entry.beside)]
    return [file.name for file, digest in expected if not file.is_file() or (digest and sha256_of(file) != digest)]


def look_up(entry: ModelEntry, models_dir: Path, *, open_only: bool = False) -> InstalledModel:
    """State of one model; with `open_only` a model without an open licence is excluded."""
    if open_only and not entry.open_licence:
        return InstalledModel(entry, ModelState.EXCLUDED, None)
    path = entry.file_in(models_dir)
    if path is None:
        return InstalledModel(entry, ModelState.MISSING, None)
    return InstalledModel(entry, ModelState.ALTERED if altered_files(entry, path) else ModelState.INSTALLED, path)


def missing_face_models(models_dir: Path) -> tuple[InstalledModel, ...]:
    """The models that find the face and can't be used; without them nothing is measured."""
    found = (look_up(entry, models_dir) for entry in MODELS if "face" in entry.checks)
    return tuple(model for model in found if model.state is not ModelState.INSTALLED)


def installed_models(
    models_dir: Path, *, open_only: bool = False, deepface_home: Path | None = None
) -> tuple[InstalledModel, ...]:
    """State of every model of the manifest, in its order."""
    return tuple(look_up(entry, entry.folder(models_dir, deepface_home), open_only=open_only) for entry in MODELS)
