"""The memory of a device is checked before a model is loaded, and running out of it is handled.

There is no GPU here. Substitutes for ONNX Runtime's sessions raise the exceptions of a full GPU, at the same place
and with the same types; `make test-seed` does the same with PyTorch's.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

from shared.jobs.worker_registry import GpuMemory
from shared.schemas import VitalStatus
from shared.vitals import Reason
from tests.unit.vision.test_vision import track_of
from workers.analyzer import Analyzer, AnalyzerOptions
from workers.face.occlusion_input import WEIGHTS
from workers.face.portraits import Portrait
from workers.models.memory import DoesNotFit, OutOfMemory, free_bytes, ran_out, require_room
from workers.models.session import Loaded, Network, open_network
from workers.vision.attribute_models import VisionModels, VisionOptions
from workers.vision.pipeline import measure_vision

FULL = (
    RuntimeException("Non-zero status code: Failed to allocate memory for requested buffer of size 822083584"),
    Fail("CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size);"),
    RuntimeException("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED"),
    MemoryError(),
)


class _Place:
    def __init__(self, name: str, shape: list[int | str]) -> None:
        self.name, self.shape = name, shape


class FullSession:
    """A substitute for ONNX Runtime's session on a GPU that holds `most` samples; it doubles its input."""

    def __init__(self, most: int, shape: list[int | str], error: BaseException = FULL[0]) -> None:
        self.most, self.shape, self.error = most, shape, error
        self.batches: list[tuple[int, bool]] = []

    def get_inputs(self) -> list[_Place]:
        return [_Place("x", self.shape)]

    def get_outputs(self) -> list[_Place]:
        return [_Place("y", self.shape)]

    def run(self, _: None, fed: dict[str, NDArray[np.float32]], options: object) -> list[NDArray[np.float32]]:
        self.batches.append((len(fed["x"]), options is not None))
        if len(fed["x"]) > self.most:
            raise self.error
        return [2 * fed["x"]]


def gpu_network(session: FullSession) -> Network:
    return Network(session, "net", Loaded("cuda"))


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
def test_a_batch_too_large_is_halved_once_and_the_arena_released(error: BaseException) -> None:
    session = FullSession(5, ["n", 3], error)
    given = np.arange(27, dtype=np.float32).reshape(9, 3)
    assert np.array_equal(gpu_network(session)(given), 2 * given)
    # The second try runs with the options that release ONNX Runtime's arena.
    assert session.batches == [(9, False), (4, True), (5, True)]


def test_a_second_failure_is_raised_with_its_reason() -> None:
    session = FullSession(2, ["n", 3])
    with pytest.raises(OutOfMemory, match=r"net ran out .* half"):
        gpu_network(session)(np.zeros((9, 3), np.float32))
    assert [count for count, _ in session.batches] == [9, 4]


def test_samples_with_a_fixed_batch_size_are_not_split() -> None:
    """All frames of a clip are one sample of a network over time, whatever its first axis is."""
    session = FullSession(0, [1, 3])
    with pytest.raises(OutOfMemory, match="all of its input"):
        gpu_network(session)(np.zeros((1, 3), np.float32))
    assert [count for count, _ in session.batches] == [1, 1]


def test_other_errors_are_not_treated_as_out_of_memory() -> None:
    session = FullSession(0, ["n", 3], InvalidArgument("Got invalid dimensions for input: x"))
    with pytest.raises(InvalidArgument):
        gpu_network(session)(np.zeros((9, 3), np.float32))
    assert len(session.batches) == 1
    assert not ran_out(ValueError("a clip"))
    assert not ran_out(KeyboardInterrupt("out of memory"))


def test_a_model_that_does_not_fit_is_refused_with_needed_and_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    card = GpuMemory(used_bytes=7 << 30, total_bytes=8 << 30)
    monkeypatch.setattr("workers.models.memory.gpu_memory", lambda: card)
    assert free_bytes("cuda") == 1 << 30
    require_room("small", 700_000_000, "cuda")
    with pytest.raises(DoesNotFit, match=r"bmi needs about 3\.2 GB, the GPU has 1\.1 GB free.*FACEVITALS_DEVICE=cpu"):
        require_room("bmi", 2_530_000_000, "cuda")
    monkeypatch.setattr("workers.models.memory.gpu_memory", lambda: None)
    require_room("bmi", 1 << 40, "cuda")


def test_free_memory_respects_the_limit_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (free_bytes("cpu") or 0) > 1 << 20
    (tmp_path / "max").write_text("1000000\n")
    (tmp_path / "current").write_text("400000\n")
    monkeypatch.setattr("workers.models.memory._CGROUP", (tmp_path / "max", tmp_path / "current"))
    assert free_bytes("cpu") == 600_000
    (tmp_path / "max").write_text("max\n")
    assert (free_bytes("cpu") or 0) > 1 << 20


def test_models_that_do_not_fit_are_left_out_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading goes on without them, and the worker's card lists them with the reason."""
    monkeypatch.setattr("workers.models.memory.free_bytes", lambda _: 1_000_000)
    analyzer = Analyzer.load(AnalyzerOptions(tmp_path, device="cpu"))
    loaded = {model.name: model for model in analyzer.loaded_models}
    assert {"obstruction", "gender.dlib"} <= set(loaded)
    # Nothing can be measured without the face.
    assert {name for name, model in loaded.items() if "face" in model.serves} == {
        "mediapipe.mesh",
        "mediapipe.near",
        "mediapipe.far",
    }
    others = [model for model in loaded.values() if "face" not in model.serves]
    assert all(0 < model.memory_bytes < 1_000_000 for model in others)
    assert {model.device for model in loaded.values()} == {"cpu"}
    assert loaded["obstruction"].serves == ["obstruction"]
    assert {"age.dlib"} <= set(analyzer.refused_models)
    assert "GB free" in analyzer.refused_models["age.dlib"]
    analyzer.close()


def test_a_network_out_of_memory_loses_only_its_own_vitals(portrait: Portrait, tmp_path: Path) -> None:
    models = VisionModels.load(VisionOptions(tmp_path))
    networks = dict(models.networks) | {"gender.dlib": gpu_network(FullSession(0, ["n", 3, 32, 32]))}
    broken = replace(models, networks=networks, weights=models.weights | {"gender": ("gender.dlib",)})
    vitals = measure_vision(track_of(portrait), broken).vitals
    assert (vitals["gender"].status, vitals["gender"].reason) == (VitalStatus.ABSTAINED, Reason.BRANCH_FAILED)
    assert "memory" in (vitals["gender"].detail or "")
    assert vitals["age"].status is VitalStatus.OK


def test_a_network_knows_the_size_of_its_weights_and_its_loading_time() -> None:
    network = open_network(WEIGHTS, 1)
    assert network.loaded.weights_bytes == WEIGHTS.stat().st_size
    assert network.loaded.load_ms >= 0
    assert network.loaded.place == "cpu"
