"""The bundled DeepPhys: available without an installation, and replaced by weights in the models folder."""

from pathlib import Path

import numpy as np
import pytest

from lab.train.deepphys import rendered_crops
from lab.train.deepphys.faces import drawn_face
from tests.unit.pulse.test_checkpoint import deepphys_weights, write_checkpoint
from workers.models.build import model_file
from workers.models.installed import ModelState, look_up
from workers.models.manifest import MODELS
from workers.models.session import open_network
from workers.rppg.estimators import ESTIMATORS
from workers.rppg.estimators.deepphys import inputs_of, waves_of
from workers.rppg.network_sessions import RppgModels
from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.traces import GRID_HZ

OURS = next(entry for entry in MODELS if entry.name == "deepphys.rendered")
NAMED = frozenset({"deepphys"})


def test_its_weights_are_in_the_repository_whole_and_small(tmp_path: Path) -> None:
    found = look_up(OURS, tmp_path, open_only=True)
    assert found.state is ModelState.INSTALLED
    assert found.path is not None
    assert found.path.stat().st_size == OURS.bytes <= 3_000_000


def test_the_bundled_deepphys_loads_with_open_models_only(tmp_path: Path) -> None:
    models = RppgModels.load(tmp_path, open_only=True, only=NAMED)
    assert models.weights == {"deepphys": "deepphys.rendered"}
    assert "deepphys" not in models.left_out


def test_no_network_runs_unless_it_is_named(tmp_path: Path) -> None:
    models = RppgModels.load(tmp_path)
    assert not models.weights
    assert not {spec.name for spec in ESTIMATORS if spec.neural} & models.estimators.keys()


def test_weights_in_the_models_folder_are_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(tmp_path / "deepphys.pth", deepphys_weights(36), monkeypatch)
    assert RppgModels.load(tmp_path, only=NAMED).weights == {"deepphys": "deepphys"}


def test_the_bundled_deepphys_finds_the_pulse_of_unseen_faces(tmp_path: Path) -> None:
    network = open_network(model_file(OURS.name, tmp_path), threads=1)
    agreement = []
    for seed in range(100_001, 100_005):
        rng = np.random.default_rng(seed)
        example = rendered_crops.render(drawn_face(rng), 6.0, rng, None)
        if example.bvp.any():
            true = to_pulse_wave(example.bvp.astype(np.float64), GRID_HZ)
            agreement.append(float(np.mean(waves_of(example.crops, GRID_HZ, network)[0] * true)))
    assert np.median(agreement) > 0.6


def test_crops_are_averaged_to_the_networks_size_without_rounding() -> None:
    rng = np.random.default_rng(0)
    small = rng.integers(50, 200, (5, 72, 72, 3)).astype(np.uint8)
    motion, appearance = inputs_of(small, 36)
    means = small.reshape(5, 36, 2, 36, 2, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
    assert np.allclose(appearance, (means - means.mean()) / means.std(), atol=1e-4)
    change = (means[1:] - means[:-1]) / (means[1:] + means[:-1])
    assert np.corrcoef(motion[:-1].ravel(), change.ravel())[0, 1] > 0.9999
    assert motion.std() == pytest.approx(1, abs=1e-3)
    assert not motion[-1].any()


def test_each_half_of_the_face_is_estimated_on_its_own(tmp_path: Path) -> None:
    network = open_network(model_file(OURS.name, tmp_path), threads=1)
    rng = np.random.default_rng(100_003)
    example = rendered_crops.render(drawn_face(rng), 8.0, rng, None)
    true = to_pulse_wave(example.bvp.astype(np.float64), GRID_HZ)
    half_still = example.crops.copy()
    # The right half of the picture is one frame and noise.
    right_half = half_still[:, :, 36:]
    right_half[:] = np.clip(right_half[:1] + rng.normal(0, 2, right_half.shape), 0, 255)
    both, left_alone = waves_of(example.crops, GRID_HZ, network), waves_of(half_still, GRID_HZ, network)
    assert (both @ true / len(true) > 0.7).all()
    whole, left, right = left_alone @ true / len(true)
    assert left > 0.7
    assert abs(right) < 0.4
    assert right < whole
