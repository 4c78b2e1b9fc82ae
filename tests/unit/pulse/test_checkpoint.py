"""PyTorch checkpoints are read without PyTorch, and no code in them is run."""

import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.models.build import ModelNotInstalled, model_file
from workers.models.checkpoint import CheckpointUnreadable, read_checkpoint
from workers.models.session import open_network
from workers.rppg.network_sessions import RppgModels

from .conftest import MakeTraces

FASNET = Path(__file__).parents[4] / "shared" / "data" / "models" / "minifasnet" / "2.7_80x80_MiniFASNetV2.pth"


class FloatStorage:
    """A substitute for torch.FloatStorage while a checkpoint is written."""


def _rebuild_tensor_v2(*_: object) -> None:
    raise AssertionError("only named, never called")


class _Storage:
    def __init__(self, key: str) -> None:
        self.key = key


class _Tensor:
    def __init__(self, values: NDArray[np.float32], key: str) -> None:
        self.values, self.key = values, key

    def __reduce__(self) -> tuple[Any, ...]:
        strides = tuple(stride // 4 for stride in self.values.strides)
        return _rebuild_tensor_v2, (_Storage(self.key), 0, self.values.shape, strides, False, OrderedDict())


class _Writer(pickle.Pickler):
    def persistent_id(self, obj: object) -> Any:  # noqa: ANN401  (pickle's own signature)
        return ("storage", FloatStorage, obj.key, "cpu", 0) if isinstance(obj, _Storage) else None


def write_checkpoint(path: Path, state: dict[str, NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a `.pth` file in the layout of torch.save, with substitutes under PyTorch's names."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage, utils._rebuild_tensor_v2 = FloatStorage, _rebuild_tensor_v2  # type: ignore[attr-defined]
    with monkeypatch.context() as names:
        names.setitem(sys.modules, "torch", torch)
        names.setitem(sys.modules, "torch._utils", utils)
        names.setattr(FloatStorage, "__module__", "torch")
        names.setattr(_rebuild_tensor_v2, "__module__", "torch._utils")
        body = io.BytesIO()
        tensors = OrderedDict((name, _Tensor(value, f"tensor{i}")) for i, (name, value) in enumerate(state.items()))
        _Writer(body, protocol=2).dump(tensors)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", body.getvalue())
        for tensor in tensors.values():
            archive.writestr(f"archive/data/{tensor.key}", tensor.values.tobytes())


def deepphys_weights(side: int) -> dict[str, NDArray[np.float32]]:
    """Random weights under rPPG-Toolbox's names."""
    rng = np.random.default_rng(0)
    left = (side // 2 - 1) // 2 - 1
    shapes: dict[str, tuple[int, ...]] = {}
    for branch in ("motion", "apperance"):
        for index, (out, into) in enumerate(((32, 3), (32, 32), (64, 32), (64, 64)), start=1):
            shapes[f"{branch}_conv{index}"] = (out, into, 3, 3)
    shapes |= {"apperance_att_conv1": (1, 32, 1, 1), "apperance_att_conv2": (1, 64, 1, 1)}
    shapes |= {"final_dense_1": (128, 64 * left * left), "final_dense_2": (1, 128)}
    state = {}
    for name, shape in shapes.items():
        scale = 1 / np.sqrt(np.prod(shape[1:]))
        state[f"module.{name}.weight"] = (scale * rng.normal(size=shape)).astype(np.float32)
        state[f"module.{name}.bias"] = np.zeros(shape[0], np.float32)
    return state


def test_tensors_are_read_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"module.a.weight": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.ones(2, np.float32)}
    write_checkpoint(tmp_path / "weights.pth", state, monkeypatch)
    found = read_checkpoint(tmp_path / "weights.pth")
    assert set(found) == {"a.weight", "b"}
    assert np.array_equal(found["a.weight"], state["module.a.weight"])


def test_a_checkpoint_with_other_objects_is_refused_without_running_them(tmp_path: Path) -> None:
    class Executing:
        def __reduce__(self) -> tuple[Any, ...]:
            return exec, ("raise SystemExit('was run')",)

    with zipfile.ZipFile(tmp_path / "executing.pth", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": Executing()}))
    with pytest.raises(CheckpointUnreadable, match="exec"):
        read_checkpoint(tmp_path / "executing.pth")


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(CheckpointUnreadable):
        read_checkpoint(tmp_path / "weights.pth")


def test_a_real_checkpoint_is_read() -> None:
    if not FASNET.is_file():
        pytest.skip(f"{FASNET} is not here: development data is stored beside the checkout")
    found = read_checkpoint(FASNET)
    assert len(found) > 100
    assert all(np.isfinite(value).all() for value in found.values())


@pytest.mark.parametrize("side", [36, 72])
def test_weights_in_the_models_folder_become_an_estimator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_traces: MakeTraces, side: int
) -> None:
    write_checkpoint(tmp_path / "deepphys.pth", deepphys_weights(side), monkeypatch)
    network = open_network(model_file("deepphys", tmp_path), threads=1)
    assert network.shapes[0][1:] == [3, side, side]
    models = RppgModels.load(tmp_path, only=frozenset({"deepphys"}))
    traces = make_traces(duration_s=5.0)
    waves = models.estimators["deepphys"](traces)
    assert waves.shape == (3, len(traces.times_s))
    assert np.isfinite(waves).all()


def test_weights_with_other_shapes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(tmp_path / "deepphys.pth", {"final_dense_1.weight": np.ones((2, 3), np.float32)}, monkeypatch)
    with pytest.raises(ModelNotInstalled, match="36 nor 72"):
        model_file("deepphys", tmp_path)
    assert "deepphys" in RppgModels.load(tmp_path, only=frozenset({"deepphys"})).left_out
