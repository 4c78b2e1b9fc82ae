"""Build ONNX files from weights into the models folder: once, and atomically."""

import os
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from workers.models.checkpoint import CheckpointUnreadable
from workers.models.installed import ModelState, altered_files, look_up
from workers.models.manifest import MODELS, ModelEntry


class ModelNotInstalled(Exception):  # noqa: N818  (named for what happened)
    """The model's weights are missing, altered or excluded by licence; the message names the remedy."""


class ModelUnusable(ModelNotInstalled):
    """The model's weights are installed, but altered or of another network; no other model replaces them silently."""


class Builder(Protocol):
    """A module that a manifest entry names as its `builder`."""

    def graph_of(self, weights: Path, /) -> bytes:
        """Build the serialised ONNX file of the weights. Raises CheckpointUnreadable."""


def builder_of(entry: ModelEntry) -> Builder:
    """Import the module that builds the model's ONNX file.

    Raises:
        ModuleNotFoundError: `workers.models` has no module of that name.
    """
    return cast("Builder", import_module(f"workers.models.{entry.builder}"))


def model_file(name: str, models_dir: Path, *, open_only: bool = False) -> Path:
    """Path of the file to load for a model, which is built first if it has to be.

    Raises:
        ModelNotInstalled: the weights are missing, or left out for their licence.
        ModelUnusable: the weights are altered, or of another network.
    """
    entry = next(entry for entry in MODELS if entry.name == name)
    found = look_up(entry, models_dir, open_only=open_only)
    if found.state is ModelState.EXCLUDED:
        msg = f"{name} is left out: its licence is not an open one ({entry.licence})"
        raise ModelNotInstalled(msg)
    if found.state is ModelState.ALTERED:
        altered = ", ".join(altered_files(entry, found.path)) if found.path else entry.file
        msg = f"{name}: {altered} does not have the checksum of the manifest; get it again with: {entry.command}"
        raise ModelUnusable(msg)
    if found.path is None:
        msg = f"{name} is not installed; get it with: {entry.command}"
        raise ModelNotInstalled(msg)
    if not entry.builder:
        return found.path
    built = entry.built_in(models_dir)
    if not built.is_file():
        try:
            network = builder_of(entry).graph_of(found.path)
        except CheckpointUnreadable as unreadable:
            msg = f"{name} can't be used: {unreadable}"
            raise ModelUnusable(msg) from unreadable
        write_atomically(built, network)
    return built


def prepare_models(models_dir: Path, *, open_only: bool = False) -> tuple[Path, ...]:
    """Build the files of all installed models that are not built yet, and return the paths of all of them."""
    return tuple(
        model_file(entry.name, models_dir, open_only=open_only)
        for entry in MODELS
        if _usable(entry, models_dir, open_only=open_only)
    )


def _usable(entry: ModelEntry, models_dir: Path, *, open_only: bool) -> bool:
    return look_up(entry, models_dir, open_only=open_only).state is ModelState.INSTALLED


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file atomically, by a temporary file beside it: no other worker ever reads an incomplete file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
