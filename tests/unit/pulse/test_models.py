"""The manifest is valid; weights are found, verified, and built into networks whose output is the same in chunks."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from shared.vitals import CHECKS, VITALS
from workers.models.build import ModelNotInstalled, builder_of, model_file, prepare_models
from workers.models.installed import ModelState, installed_models, look_up
from workers.models.manifest import MODELS, ModelEntry, read_manifest
from workers.models.session import open_network

ROOT = Path(__file__).parents[3]
PHYSNET = next(entry for entry in MODELS if entry.name == "physnet.rlap")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if PHYSNET.file_in(Path()) is None:
        pytest.skip(f"{PHYSNET.name} is not installed: {PHYSNET.command}")
    path = tmp_path_factory.mktemp("models")
    prepare_models(path)
    return path


def test_every_entry_of_the_manifest_is_valid() -> None:
    assert len({entry.name for entry in MODELS}) == len(MODELS)
    types = TypeAdapter(ModelEntry)
    for entry in MODELS:
        types.validate_json(json.dumps(asdict(entry)), strict=True)
        assert len(entry.sha256) == 64 or (not entry.sha256 and entry.module in {"", "workers"})
        assert entry.source.startswith(("https://", "this package"))
        assert entry.licence
        assert entry.command
        assert entry.vitals or entry.checks or entry.commands
        assert set(entry.vitals) <= set(VITALS)
        assert set(entry.checks) <= set(CHECKS)
        assert bool(entry.recipe) == bool(entry.builder)
        if entry.builder:
            assert callable(builder_of(entry).graph_of)
    with pytest.raises(ValidationError):
        types.validate_json(json.dumps({**asdict(MODELS[0]), "bytes": "300 kB"}), strict=True)


def test_an_entry_with_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="licens"):
        read_manifest('[[models]]\nname = "new"\nlicens = "MIT"\n')


def test_the_models_of_the_default_installation_are_listed_and_installed(folder: Path) -> None:
    """All models of the set-up are listed for the operator."""
    states = {model.entry.name: model for model in installed_models(folder)}
    for name in ("obstruction", "mediapipe.mesh", "mediapipe.near", "mediapipe.far", "age.dlib", "tscan.rlap"):
        assert states[name].state is ModelState.INSTALLED, name
    shipped = {path.name for path in (ROOT / "workers").rglob("*.onnx")}
    listed = {Path(entry.file).name for entry in MODELS if entry.module == "workers"}
    assert shipped == listed


def test_a_second_preparation_writes_no_file(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    prepare_models(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_the_same_weights_give_the_same_file(folder: Path, tmp_path: Path) -> None:
    again = model_file(PHYSNET.name, tmp_path)
    assert again.read_bytes() == (folder / again.name).read_bytes()


def test_altered_weights_are_not_used(tmp_path: Path) -> None:
    (tmp_path / "weights.h5").write_bytes(b"something else")
    altered = replace(PHYSNET, module="", file="weights.h5")
    assert look_up(altered, tmp_path).state is ModelState.ALTERED
    assert look_up(altered, tmp_path).command == PHYSNET.command


def test_a_missing_model_names_the_command_that_gets_it(tmp_path: Path) -> None:
    missing = look_up(replace(PHYSNET, module="no_such_package"), tmp_path)
    assert missing.state is ModelState.MISSING
    assert missing.command == PHYSNET.command


def test_open_models_only_excludes_the_others(tmp_path: Path) -> None:
    states = {model.entry.name: model.state for model in installed_models(tmp_path, open_only=True)}
    assert states[PHYSNET.name] is ModelState.EXCLUDED
    with pytest.raises(ModelNotInstalled, match="licence"):
        model_file(PHYSNET.name, tmp_path, open_only=True)


def test_physnet_in_chunks_equals_physnet_in_one_piece(folder: Path) -> None:
    from workers.rppg.estimators.physnet import CHUNK, HALO

    network = open_network(model_file(PHYSNET.name, folder), threads=1)
    frames = np.random.default_rng(0).normal(size=(1, 3, 384, 32, 32)).astype(np.float32)
    whole = network(frames)
    first = network(frames[:, :, : CHUNK + HALO])[:CHUNK]
    second = network(frames[:, :, CHUNK - HALO :])[HALO:]
    assert np.allclose(np.concatenate((first, second)), whole, atol=1e-4)


def test_physnet_finds_a_pulse_in_skin(folder: Path) -> None:
    network = open_network(model_file(PHYSNET.name, folder), threads=1)
    times = np.arange(256) / 30
    frames = np.random.default_rng(0).normal(size=(1, 3, 256, 32, 32)).astype(np.float32)
    frames[0, 1] -= 0.5 * np.sin(2 * np.pi * 1.2 * times)[:, None, None].astype(np.float32)
    wave = network(frames)
    assert np.corrcoef(wave[30:-30], np.sin(2 * np.pi * 1.2 * times)[30:-30])[0, 1] > 0.5


def test_tscan_outputs_one_value_per_frame(folder: Path) -> None:
    network = open_network(model_file("tscan.rlap", folder), threads=1)
    times = np.arange(160) / 30
    rng = np.random.default_rng(0)
    strength = rng.uniform(0.2, 1, size=(1, 3, 36, 36))
    derivative = np.cos(2 * np.pi * 1.2 * times)[:, None, None, None]
    motion = (-strength * derivative + 0.3 * rng.normal(size=(160, 3, 36, 36))).astype(np.float32)
    appearance = np.full((1, 3, 36, 36), 0.5, dtype=np.float32)
    assert network(motion, appearance).shape == (160,)
    assert np.isfinite(network(motion, appearance)).all()
