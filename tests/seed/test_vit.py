"""The Vision Transformer for BMI: the real loader with random weights, compared with torchvision."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from shared.schemas import Method, VitalStatus
from tests.unit.vision.test_vision import track_of
from workers.face.portraits import Portrait
from workers.models.checkpoint import CheckpointUnreadable
from workers.models.memory import DoesNotFit, OutOfMemory
from workers.models.vit import BmiCard, VisionTransformer, open_vit, vision_transformer
from workers.vision.attribute_models import VisionModels, VisionOptions
from workers.vision.bmi.vit_predictor import UNKNOWN_ERROR_90, predict_body_mass, trained_body_mass_index
from workers.vision.pipeline import measure_vision

METHOD = Method(name="test", version="0")


def write_model(folder: Path, weights: object, **card: object) -> Path:
    """Write bmi.pth with the weights and bmi.json with the card; return the path of bmi.pth."""
    torch.save(weights, folder / "bmi.pth")
    (folder / "bmi.json").write_text(json.dumps({"attention_heads": 4} | card))
    return folder / "bmi.pth"


def by_torchvision(weights: dict[str, Any], pictures: torch.Tensor) -> torch.Tensor:
    """Run the same network, assembled from torchvision's parts."""
    module = vision_transformer().VisionTransformer(32, 8, 2, 4, 48, 96)
    module.heads = torch.nn.Identity()
    module.load_state_dict({name: value for name, value in weights.items() if not name.startswith("heads.")})
    module.eval()
    with torch.inference_mode():
        x = module(pictures)
        for place in (1, 2, 3):
            x = functional.linear(x, weights[f"heads.linear{place}.weight"], weights[f"heads.linear{place}.bias"])
            x = functional.gelu(x) if place < 3 else x
    return x[:, 0]


def test_the_loader_outputs_the_same_as_torchvision(small_vit: dict[str, Any], tmp_path: Path) -> None:
    network = open_vit(write_model(tmp_path, small_vit), 1)
    pictures = torch.randn(7, 3, 32, 32)
    assert network.side == 32
    assert network(pictures.numpy()) == pytest.approx(by_torchvision(small_vit, pictures).numpy(), abs=1e-4)
    assert network.loaded.weights_bytes == sum(4 * value.numel() for value in small_vit.values())


def test_a_head_without_backbone_loads_the_backbone_named_in_its_card(
    small_vit: dict[str, Any], tmp_path: Path
) -> None:
    whole = open_vit(write_model(tmp_path, small_vit), 1)
    pictures = np.random.default_rng(0).normal(size=(3, 3, 32, 32)).astype(np.float32)
    expected = whole(pictures)
    trunk = {name: value for name, value in small_vit.items() if not name.startswith("heads.")}
    head = {name.removeprefix("heads."): value for name, value in small_vit.items() if name.startswith("heads.")}
    other_task = {"heads.head.weight": torch.zeros(1000, 48), "heads.head.bias": torch.zeros(1000)}
    torch.save(trunk | other_task, tmp_path / "backbone.pth")
    alone = open_vit(write_model(tmp_path, head, backbone="backbone.pth"), 1)
    assert alone(pictures) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(CheckpointUnreadable, match="is not in the same folder"):
        open_vit(write_model(tmp_path, head, backbone="another.pth"), 1)
    with pytest.raises(CheckpointUnreadable, match="name its backbone"):
        open_vit(write_model(tmp_path, head), 1)


def test_a_trainers_checkpoint_with_old_names_loads(small_vit: dict[str, Any], tmp_path: Path) -> None:
    old = {
        f"module.{name}".replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): value
        for name, value in small_vit.items()
    }
    pictures = np.zeros((1, 3, 32, 32), np.float32)
    expected = open_vit(write_model(tmp_path, small_vit), 1)(pictures)
    assert open_vit(write_model(tmp_path, {"state_dict": old, "epoch": 3}), 1)(pictures) == pytest.approx(expected)


def test_another_input_size_interpolates_the_position_embedding(small_vit: dict[str, Any], tmp_path: Path) -> None:
    network = open_vit(write_model(tmp_path, small_vit, side=64), 1)
    assert network.side == 64
    assert np.isfinite(network(np.ones((2, 3, 64, 64), np.float32))).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: {name: value for name, value in w.items() if not name.startswith("heads.")}, "chain"),
        (lambda w: w | {"heads.linear3.weight": torch.zeros(2, 12), "heads.linear3.bias": torch.zeros(2)}, "chain"),
        (lambda w: {name: value for name, value in w.items() if "layer_0.mlp" not in name}, "no ViT"),
        (lambda _: {"anything": 3}, "state dictionary"),
    ],
)
def test_weights_of_another_network_are_refused(
    small_vit: dict[str, Any], tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(CheckpointUnreadable, match=message):
        open_vit(write_model(tmp_path, change(small_vit)), 1)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable, match="no checkpoint"):
        open_vit(write_model(tmp_path, {"conv_proj.weight": Path("x")}), 1)


def test_a_backbone_path_outside_of_the_folder_is_refused(small_vit: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable, match=r"bmi\.json"):
        open_vit(write_model(tmp_path, small_vit, backbone="../secret.pth"), 1)


def test_weights_with_a_measured_error_give_an_ok_vital_and_others_an_experimental_one() -> None:
    readings = np.array([24.0, 25.0, 27.0], np.float32)
    measured = BmiCard(mae=3.9, people=240, interval_90=(-7.0, 8.0), trained_on="a study")
    vital = trained_body_mass_index(readings, measured, METHOD)
    assert (vital.status, vital.value, vital.interval) == (VitalStatus.OK, 25.0, (18.0, 33.0))
    assert "240 people" in (vital.detail or "")
    for card in (BmiCard(), BmiCard(mae=1.0, people=12, interval_90=(-1.0, 1.0))):
        unsure = trained_body_mass_index(readings, card, METHOD)
        assert unsure.status is VitalStatus.EXPERIMENTAL
        assert unsure.interval == (round(25 + UNKNOWN_ERROR_90[0], 1), round(25 + UNKNOWN_ERROR_90[1], 1))
        assert "not known" in (unsure.detail or "")


def test_nine_portraits_give_a_bmi_with_weights_in_the_models_folder(
    small_vit: dict[str, Any], tmp_path: Path, portraits: tuple[Portrait, ...]
) -> None:
    write_model(tmp_path, small_vit, mae=4.0, people=150, interval_90=[-6.0, 7.0], trained_on="random numbers")
    models = VisionModels.load(VisionOptions(tmp_path))
    assert models.weights["bmi"] == ("bmi.vit",)
    network = models.networks["bmi.vit"]
    expected = predict_body_mass(portraits, network)
    assert expected.shape == (9,)
    vital = measure_vision(track_of(*portraits), models, frozenset({"bmi"})).vitals["bmi"]
    assert vital.status is VitalStatus.OK
    assert vital.value == round(float(np.median(expected)), 1)
    assert vital.method is not None
    assert (vital.method.models, vital.method.frames) == (["bmi.vit"], 9)


def test_without_weights_the_bmi_comes_from_ratios_of_the_face(tmp_path: Path, portraits: tuple[Portrait, ...]) -> None:
    models = VisionModels.load(VisionOptions(tmp_path))
    assert "bmi" not in models.weights
    track = replace(track_of(*portraits), landmarks=np.stack([portraits[0].landmarks] * 30))
    vital = measure_vision(track, models, frozenset({"bmi"})).vitals["bmi"]
    assert vital.method is not None
    assert "ratios" in vital.method.name


class _Exhausted:
    """A substitute for a module on a GPU: it raises PyTorch's out-of-memory error for more than `most` pictures."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.batches: list[int] = []

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(pictures))
        if len(pictures) > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return torch.full((len(pictures), 1), 25.0)


def test_a_gpu_out_of_memory_is_retried_with_half_a_batch_and_then_fails(
    small_vit: dict[str, Any], tmp_path: Path
) -> None:
    """A substitute raises PyTorch's exception, because there is no GPU."""
    loaded = open_vit(write_model(tmp_path, small_vit), 1)
    module = _Exhausted(2)
    network = VisionTransformer(module, 32, BmiCard(), loaded.loaded)
    assert network(np.zeros((3, 3, 32, 32), np.float32)) == pytest.approx([25.0] * 3)
    assert module.batches == [3, 1, 2]
    with pytest.raises(OutOfMemory, match="half"):
        VisionTransformer(_Exhausted(0), 32, BmiCard(), loaded.loaded)(np.zeros((2, 3, 32, 32), np.float32))


def test_a_vit_larger_than_the_free_memory_is_refused_with_the_reason(
    small_vit: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_model(tmp_path, small_vit)
    monkeypatch.setattr("workers.models.memory.free_bytes", lambda _: 1000)
    with pytest.raises(DoesNotFit, match="GB free"):
        open_vit(path, 1)
    models = VisionModels.load(VisionOptions(tmp_path))
    assert "bmi" not in models.weights
    assert "bmi.vit" in models.refused


def test_a_vit_h_14_of_the_original_size_loads_and_runs(tmp_path: Path) -> None:
    """633 million random weights at 224 pixels; the original's 518 pixels take 8 s per portrait."""
    from workers.models.memory import free_bytes

    if (free_bytes("cpu") or 0) < 8 << 30:
        pytest.skip("less than 8 GB of memory are free")
    with torch.device("meta"):
        module = vision_transformer().VisionTransformer(224, 14, 32, 16, 1280, 5120)
    shapes = {name: value.shape for name, value in module.state_dict().items() if not name.startswith("heads.")}
    widths = [1280, 640, 320, 160, 80, 1]
    for place, (before, after) in enumerate(pairwise(widths), 1):
        shapes |= {f"heads.linear{place}.weight": (after, before), f"heads.linear{place}.bias": (after,)}
    numbers = torch.randn(1 << 20) * 0.02
    weights = {}
    for name, shape in shapes.items():
        count = int(np.prod(shape))
        weights[name] = numbers.repeat(-(-count // len(numbers)))[:count].reshape(shape).clone()
    torch.save(weights, tmp_path / "bmi.pth")
    del weights
    network = open_vit(tmp_path / "bmi.pth", 2)
    (tmp_path / "bmi.pth").unlink()
    assert network.loaded.weights_bytes > 2_500_000_000
    answers = network(np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32))
    assert answers.shape == (1,)
    assert np.isfinite(answers).all()
