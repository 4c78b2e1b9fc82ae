"""Weights become ONNX files in the models folder: once, whole or not at all."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from workers.models.checkpoint import CheckpointUnreadable
from workers.models.manifest import MODELS, ModelEntry, ModelState, altered_files, look_up


class ModelNotInstalled(Exception):  # noqa: N818  (named for what happened)
    """The model's weights are missing, altered, or left out by licence; the message says which and what gets them."""


class ModelUnusable(ModelNotInstalled):
    """The model's weights are there, but altered or of something else: nothing takes their place unsaid."""


def _physnet(weights: Path) -> bytes:
    from workers.models.physnet_network import graph_of

    return graph_of(weights)


def _deepphys(weights: Path) -> bytes:
    from workers.models.deepphys_network import graph_of

    return graph_of(weights)


def _agegender(weights: Path) -> bytes:
    from workers.models.agegender_network import graph_of

    return graph_of(weights)


def _fasnet(weights: Path) -> bytes:
    from workers.models.fasnet_network import graph_of

    return graph_of(weights)


def _tscan(weights: Path) -> bytes:
    from workers.models.tscan_network import graph_of

    return graph_of(weights)


#: What is built, by the manifest's names.
BUILDERS: Final[dict[str, Callable[[Path], bytes]]] = {
    "physnet.rlap": _physnet,
    "tscan.rlap": _tscan,
    "deepphys": _deepphys,
    "agegender": _agegender,
    "fasnet.v2": _fasnet,
    "fasnet.v1se": _fasnet,
}


def model_file(name: str, models_dir: Path, *, open_only: bool = False) -> Path:
    """The file to load for a model; built first where it was not yet.

    Raises `ModelNotInstalled`.
    """
    entry = next(entry for entry in MODELS if entry.name == name)
    found = look_up(entry, models_dir, open_only=open_only)
    if found.state is ModelState.EXCLUDED:
        msg = f"{name} is left out: its licence is not an open one ({entry.licence})"
        raise ModelNotInstalled(msg)
    if found.state is ModelState.ALTERED:
        altered = ", ".join(altered_files(entry, found.path)) if found.path else entry.file
        msg = f"{name}: {altered} is not the file its checksum names; get it again with: {entry.command}"
        raise ModelUnusable(msg)
    if found.path is None:
        msg = f"{name} is not installed; get it with: {entry.command}"
        raise ModelNotInstalled(msg)
    if not entry.recipe:
        return found.path
    built = entry.built_in(models_dir)
    if not built.is_file():
        try:
            network = BUILDERS[name](found.path)
        except CheckpointUnreadable as unreadable:
            msg = f"{name} can't be used: {unreadable}"
            raise ModelUnusable(msg) from unreadable
        write_whole(built, network)
    return built


def prepare_models(models_dir: Path, *, open_only: bool = False) -> tuple[Path, ...]:
    """Build what is not built yet, of every model whose weights are installed; gives the files. A second call does
    nothing.
    """
    return tuple(
        model_file(entry.name, models_dir, open_only=open_only)
        for entry in MODELS
        if _usable(entry, models_dir, open_only=open_only)
    )


def _usable(entry: ModelEntry, models_dir: Path, *, open_only: bool) -> bool:
    return look_up(entry, models_dir, open_only=open_only).state is ModelState.INSTALLED


def write_whole(path: Path, data: bytes) -> None:
    """Write beside and move into place, so that two workers that start together never see half a file."""
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
