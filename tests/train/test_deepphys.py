"""DeepPhys in PyTorch: the paper's shapes, rPPG-Toolbox's names, the workers' outputs, and training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lab.data.example import Example
from lab.train.deepphys.learn import Plan, chunk_of, derivative_of, loss_of, train, wave_by
from lab.train.deepphys.network import DeepPhys, save
from tests.unit.pulse.test_checkpoint import deepphys_weights
from workers.models.build import model_file
from workers.models.checkpoint import read_checkpoint
from workers.models.session import open_network
from workers.rppg.estimators.deepphys import inputs_of
from workers.rppg.network_sessions import RppgModels
from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.traces import GRID_HZ

QUICK = Plan(steps=6, batch=2, chunk=60, rate=1e-3, dropout=(0.0, 0.0), every=3, seed=3)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def pulsing(seed: int, n: int = 90) -> Example:
    """Crops of noise whose middle gets darker with a pulse: what there is to learn, and nothing else."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.arange(n) / GRID_HZ * rng.uniform(0.8, 2.5) + rng.uniform(0, 6)
    bvp = np.sin(phase)
    level = rng.uniform(90, 180, 3)
    crops = np.tile(level, (n, 72, 72, 1))
    crops[:, 18:54, 18:54] *= 1 - 0.05 * bvp[:, None, None, None] * np.array([0.4, 1.0, 0.7])
    crops += rng.normal(0, 2, (1, 72, 72, 3)) + rng.normal(0, 1.5, crops.shape)
    return Example(np.clip(crops, 0, 255).astype(np.uint8), bvp.astype(np.float32))


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("examples")
    paths = [folder / f"{seed}.npz" for seed in range(6)]
    for seed, path in enumerate(paths):
        pulsing(seed).save(path)
    return paths


# Chen & McDuff 2018, figure 2, and rPPG-Toolbox's for 72 pixels.
TABLES = {
    36: [(32, 36, 36), (32, 34, 34), (64, 17, 17), (64, 15, 15), (3136,), (128,)],
    72: [(32, 72, 72), (32, 70, 70), (64, 35, 35), (64, 33, 33), (16384,), (128,)],
}


@pytest.mark.parametrize("side", [36, 72])
def test_every_layer_has_the_papers_shape(side: int) -> None:
    network = DeepPhys(side)
    shapes: list[tuple[int, ...]] = []

    def note(_module: Any, given: Any, answer: Any) -> None:  # noqa: ANN401
        if answer.dim() == 2:
            shapes.append(tuple(given[0].shape[1:]))
        else:
            shapes.append(tuple(answer.shape[1:]))

    for name in ("motion_conv1", "motion_conv2", "motion_conv3", "motion_conv4", "final_dense_1", "final_dense_2"):
        network.get_submodule(name).register_forward_hook(note)
    answer = network(torch.zeros(2, 3, side, side), torch.zeros(2, 3, side, side))
    assert shapes == TABLES[side]
    assert tuple(answer.shape) == (2, 1)


@pytest.mark.parametrize("side", [36, 72])
def test_checkpoints_are_interchangeable_with_rppg_toolbox(tmp_path: Path, side: int) -> None:
    theirs = {name.removeprefix("module."): value for name, value in deepphys_weights(side).items()}
    network = DeepPhys(side)
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == {
        name: value.shape for name, value in theirs.items()
    }
    network.load_state_dict({name: torch.from_numpy(value) for name, value in theirs.items()})
    kept = read_checkpoint(save(network, tmp_path / "deepphys.pth"))
    assert all(np.array_equal(kept[name], value) for name, value in theirs.items())


@pytest.mark.parametrize("side", [36, 72])
def test_the_exported_network_equals_the_trained_one_on_faces_and_halves(tmp_path: Path, side: int) -> None:
    torch.manual_seed(1)
    network = DeepPhys(side).eval()
    exported = open_network(model_file("deepphys", save(network, tmp_path / "deepphys.pth").parent), threads=1)
    motion, appearance = inputs_of(pulsing(0, 24).crops, side)
    wide = {36: 7, 72: 16}[side]
    left = torch.zeros(64, wide, wide)
    left[:, :, : wide // 2] = wide / (wide // 2)
    outputs = []
    for part in (torch.ones(64, wide, wide), left, left.flip(2)):
        masked = network.final_dense_1.register_forward_pre_hook(lambda _, x, part=part: (x[0] * part.flatten(),))
        with torch.no_grad():
            outputs.append(network(torch.from_numpy(motion), torch.from_numpy(appearance)).numpy()[:, 0])
        masked.remove()
    answers = np.stack(outputs, axis=1)
    assert np.abs(exported(motion, appearance) - answers).max() < 1e-4
    assert answers.std(axis=0).min() > 1e-3, "the answers do not differ, so that any network would agree"


def test_one_appearance_is_used_for_the_motions_that_follow_it() -> None:
    torch.manual_seed(1)
    network = DeepPhys(36).eval()
    motion, appearance_crops = torch.randn(6, 3, 36, 36), torch.randn(2, 3, 36, 36)
    with torch.no_grad():
        together = network(motion, appearance_crops)
        apart = torch.cat([network(motion[:3], appearance_crops[:1]), network(motion[3:], appearance_crops[1:])])
    assert torch.allclose(together, apart, atol=1e-6)


def test_training_lowers_the_loss_and_finds_the_pulse(tmp_path: Path, examples: list[Path]) -> None:
    plan = Plan(steps=12, batch=2, chunk=46, rate=3e-3, dropout=(0.0, 0.0), every=6, seed=3)
    losses: list[float] = []
    result = train(plan, examples[:5], examples[5:], tmp_path, on_step=lambda _, loss: losses.append(loss))
    assert np.mean(losses[-4:]) < 0.5 * np.mean(losses[:3])
    assert result["validation_mae_per_min"] < 10
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3
    models = RppgModels.load(tmp_path, only=frozenset({"deepphys"}))
    assert "deepphys" in models.estimators


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA here"))])  # fmt: skip
def test_mixed_precision_trains(tmp_path: Path, examples: list[Path], device: str) -> None:
    plan = Plan(steps=8, batch=2, chunk=60, rate=1e-3, dropout=(0.0, 0.0), every=8, seed=3, bf16=True, device=device)
    losses: list[float] = []
    train(plan, examples[:5], examples[5:], tmp_path, on_step=lambda _, loss: losses.append(loss))
    assert np.isfinite(losses).all()


def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path: Path, examples: list[Path]) -> None:
    plan = Plan(**{**QUICK.__dict__, "dropout": (0.25, 0.5)})

    class Stopped(Exception):  # noqa: N818
        pass

    def stop(step: int, _loss: float) -> None:
        if step == 5:
            raise Stopped

    train(plan, examples[:5], examples[5:], tmp_path / "whole")
    with pytest.raises(Stopped):
        train(plan, examples[:5], examples[5:], tmp_path / "broken", on_step=stop)
    train(plan, examples[:5], examples[5:], tmp_path / "broken", resume=True)
    whole, broken = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "broken"))
    assert whole["step"] == broken["step"] == 6
    assert all(torch.equal(value, broken["network"][name]) for name, value in whole["network"].items())


def test_a_checkpoint_of_another_plan_is_refused(tmp_path: Path, examples: list[Path]) -> None:
    train(Plan(**{**QUICK.__dict__, "steps": 1}), examples[:5], examples[5:], tmp_path)
    with pytest.raises(ValueError, match="another plan"):
        train(QUICK, examples[:5], examples[5:], tmp_path, resume=True)


def test_a_run_begins_with_the_given_weights(tmp_path: Path, examples: list[Path]) -> None:
    still = Plan(**{**QUICK.__dict__, "steps": 1, "rate": 0.0})
    torch.manual_seed(9)
    given = DeepPhys(36)
    start = save(given, tmp_path / "start.pth")
    train(still, examples[:5], examples[5:], tmp_path / "run", start=start)
    kept = read_checkpoint(tmp_path / "run" / "deepphys.pth")
    assert all(np.array_equal(kept[name], value.numpy()) for name, value in given.state_dict().items())
    train(still, examples[:5], examples[5:], tmp_path / "again", start=tmp_path / "run" / "last.pt")
    assert (tmp_path / "again" / "deepphys.pth").is_file()


def test_training_ends_when_validation_no_longer_improves(tmp_path: Path, examples: list[Path]) -> None:
    plan = Plan(**{**QUICK.__dict__, "steps": 50, "every": 1, "patience": 1, "rate": 0.0})
    assert train(plan, examples[:5], examples[5:], tmp_path)["steps"] == 2


def test_the_loss_depends_on_the_pulse_and_not_on_hum_beyond_its_band() -> None:
    times = np.arange(150) / GRID_HZ
    bvp = np.sin(2 * np.pi * 1.2 * times)
    label = torch.from_numpy(derivative_of(bvp.astype(np.float32)))[None]
    hum = torch.from_numpy(np.sin(2 * np.pi * 9 * times).astype(np.float32))[None]
    assert float(loss_of(label, label, "pearson")) == pytest.approx(0, abs=1e-5)
    assert float(loss_of(-label, label, "pearson")) == pytest.approx(2, abs=1e-5)
    assert float(loss_of(label + 2 * hum, label, "pearson")) < 0.05
    assert float(loss_of(label + 2 * hum, label, "mse")) > 1
    assert float(loss_of(hum, torch.zeros_like(hum), "pearson")) == 0, "without a pulse there is no correlation"


def test_labels_match_the_pictures_of_a_chunk() -> None:
    motion, appearance_crops, label = chunk_of(pulsing(1), QUICK, np.random.default_rng(0))
    assert motion.shape == (60, 3, 36, 36)
    assert appearance_crops.shape == (2, 3, 36, 36)
    green: NDArray[np.float32] = motion[:, 1, 12:24, 12:24].mean(axis=(1, 2))
    assert np.corrcoef(-green[:-1], label[:-1])[0, 1] > 0.8


def test_a_wave_of_the_trained_network_is_standardised(examples: list[Path]) -> None:
    example = Example.load(examples[0])
    wave = wave_by(DeepPhys(36), example.crops)
    true = to_pulse_wave(example.bvp.astype(np.float64), GRID_HZ)
    assert wave.shape == true.shape
    assert wave.std() == pytest.approx(1, abs=1e-6)
