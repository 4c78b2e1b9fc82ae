"""DeepFace's clients on each of its engines, with random weights under the expected file names."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from shared.schemas import Age, VitalStatus
from tests.unit.vision.test_vision import track_of
from workers.face.portraits import Portrait
from workers.models.build import ModelNotInstalled
from workers.models.checkpoint import CheckpointUnreadable
from workers.models.deepface_client import WEIGHTS, DeepFaceOptions, Engine, open_deepface
from workers.models.manifest import MODELS, sha256_of
from workers.models.memory import OutOfMemory
from workers.models.vggface import LAYERS, SIDE, read_layers
from workers.vision.age_gender.deepface_predictor import network_input
from workers.vision.attribute_models import VisionModels, VisionOptions
from workers.vision.pipeline import measure_vision

ENGINES: tuple[Engine, ...] = ("onnx", "pytorch", "tensorflow")
_CLASSES = {"age": 101, "gender": 2}


def keras_file(path: Path, classes: int) -> Path:
    """Write a file as `Model.save_weights` does, with VGG-Face's layers and random weights, in DeepFace's layout."""
    rng = np.random.default_rng(classes)
    noise = rng.standard_normal(1 << 20).astype(np.float32)
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512, 4096, 4096, classes]
    sides = [3] * 13 + [7, 1, 1]
    names = [f"conv2d_{place}" for place in range(1, 16)] + ["predictions"]
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        # Keras also lists layers without weights.
        file.attrs["layer_names"] = [b"zero_padding2d_1", *(name.encode() for name in names), b"activation_1"]
        for empty in ("zero_padding2d_1", "activation_1"):
            file.create_group(empty).attrs["weight_names"] = np.zeros(0, "S8")
        for name, before, after, side in zip(names, widths, widths[1:], sides, strict=False):
            shape = (side, side, before, after)
            count = int(np.prod(shape))
            kernel = np.resize(noise[rng.integers(1000) :], count).reshape(shape) * (2 / (side * side * before)) ** 0.5
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()]
            group.create_dataset(f"{name}/kernel:0", data=kernel.astype(np.float32))
            group.create_dataset(f"{name}/bias:0", data=0.01 * noise[:after])
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with age and gender weights in Keras' format: two gigabytes, removed at the end."""
    folder = tmp_path_factory.mktemp("deepface")
    for name, classes in _CLASSES.items():
        keras_file(folder / WEIGHTS / f"{name}_model_weights.h5", classes)
    yield folder
    for path in folder.rglob("*_model_weights.*"):
        path.unlink()


#: Program that runs one engine in a process of its own, so that TensorFlow, PyTorch and ONNX Runtime stay separate.
_ALONE = """
import json, sys
from pathlib import Path
import numpy as np
from workers.models.deepface_client import DeepFaceOptions, open_deepface
home, engine, attribute, given = sys.argv[1:]
weights = Path(home) / ".deepface" / "weights" / f"{attribute.lower()}_model_weights.h5"
client = open_deepface(attribute, weights, DeepFaceOptions(Path(home), engine), 1)
answers = [client(faces).tolist() for faces in (np.load(given), np.load(given)[:1])]
loaded = sorted({name.split(".")[0] for name in sys.modules} & {"tensorflow", "torch", "onnxruntime", "tf_keras"})
about = {"place": client.loaded.place, "bytes": client.loaded.weights_bytes}
print(json.dumps({"answers": answers, "loaded": loaded, **about}))
"""


def run_client(home: Path, engine: str, attribute: str, given: Path) -> dict[str, Any]:
    """Run one client on one engine in a separate process without network access; return its outputs."""
    environment = {**os.environ, "https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    ran = subprocess.run(
        [sys.executable, "-c", _ALONE, str(home), engine, attribute, str(given)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answer


@pytest.fixture(scope="module")
def given(portraits: tuple[Portrait, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "faces.npy"
    np.save(path, network_input(portraits[:2]))
    return path


def test_the_three_engines_of_deepface_give_the_same_age(home: Path, given: Path) -> None:
    answers_by_engine = {engine: run_client(home, engine, "Age", given) for engine in ENGINES}
    ages = {engine: np.array(one["answers"][0])[:, 0] for engine, one in answers_by_engine.items()}
    assert ages["tensorflow"].shape == (2,)
    assert np.all((ages["tensorflow"] > 0) & (ages["tensorflow"] < 100))
    for engine in ("onnx", "pytorch"):
        assert ages[engine] == pytest.approx(ages["tensorflow"], abs=1e-2)
    for one in answers_by_engine.values():
        # DeepFace has separate code for one portrait and for several.
        assert one["answers"][1][0] == pytest.approx(one["answers"][0][0], abs=1e-3)
        assert one["place"] == "cpu"
        assert one["bytes"] > 500_000_000
    assert "tensorflow" not in answers_by_engine["onnx"]["loaded"]
    assert "torch" not in answers_by_engine["onnx"]["loaded"]
    assert "tensorflow" not in answers_by_engine["pytorch"]["loaded"]
    assert "torch" not in answers_by_engine["tensorflow"]["loaded"]


def test_nine_portraits_give_age_and_gender_with_deepface_in_the_settings(
    home: Path, portraits: tuple[Portrait, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights are found by the manifest, preferred to the default models and reported as not measured."""
    entries = {entry.name: entry for entry in MODELS}
    for name in ("deepface.age", "deepface.gender"):
        entries[name] = replace(entries[name], sha256=sha256_of(home / entries[name].file))
    monkeypatch.setattr("workers.models.build.MODELS", tuple(entries.values()))
    models = VisionModels.load(VisionOptions(home / "models", deepface=DeepFaceOptions(home)))
    assert (models.weights["age"], models.weights["gender"]) == (("deepface.age",), ("deepface.gender",))
    assert "agegender" not in models.networks
    women_and_men = models.networks["deepface.gender"](network_input(portraits[:2]))
    assert women_and_men.shape == (2, 2)
    assert women_and_men.sum(axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)
    vitals = measure_vision(track_of(*portraits), models, frozenset({"age", "gender"}), aggregate="max").vitals
    age, gender = vitals["age"], vitals["gender"]
    assert age.status is VitalStatus.EXPERIMENTAL
    assert isinstance(age, Age)
    assert age.diagnostics is not None
    assert age.value == age.diagnostics.highest
    assert age.method is not None
    assert (age.method.models, age.method.frames) == (["deepface.age"], 9)
    assert "not measured here" in (age.detail or "")
    assert gender.method is not None
    assert gender.method.models == ["deepface.gender"]
    closed = VisionModels.load(VisionOptions(home / "models", open_only=True, deepface=DeepFaceOptions(home)))
    assert "deepface.age" not in closed.networks
    assert "deepface.age" not in VisionModels.load(VisionOptions(home / "models")).networks


def test_missing_weights_are_not_requested_from_deepface(tmp_path: Path, given: Path) -> None:
    """DeepFace is not called: it would download them."""
    models = VisionModels.load(VisionOptions(tmp_path, deepface=DeepFaceOptions(tmp_path)))
    assert "deepface.age" not in models.networks
    for engine in ENGINES:
        with pytest.raises((ModelNotInstalled, CheckpointUnreadable)):
            open_deepface("Age", tmp_path / "age_model_weights.h5", DeepFaceOptions(tmp_path, engine), 1)
    assert not list(tmp_path.rglob("*_weights*"))


def test_altered_weights_are_not_passed_to_deepface(home: Path, tmp_path: Path) -> None:
    """The random file does not have the published checksum."""
    models = VisionModels.load(VisionOptions(tmp_path, deepface=DeepFaceOptions(home)))
    assert "deepface.age" not in models.networks


def test_a_keras_file_of_another_network_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.create_group("dense").attrs["weight_names"] = [b"k", b"b"]
        file["dense"]["k"], file["dense"]["b"] = np.zeros((1, 1, 3, 5)), np.zeros(5)
    with pytest.raises(CheckpointUnreadable, match="no VGG-Face"):
        read_layers(tmp_path / "other.h5")


def test_a_client_out_of_memory_is_retried_with_smaller_batches(portraits: tuple[Portrait, ...]) -> None:
    """A substitute for DeepFace's client raises ONNX Runtime's exception, because there is no GPU."""
    from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

    from workers.models.deepface_client import DeepFaceClient
    from workers.models.session import Loaded

    class Client:
        def __init__(self, most: int) -> None:
            self.most, self.batches = most, list[int]()

        def predict(self, given: NDArray[np.float32]) -> NDArray[np.float32]:
            self.batches.append(len(given))
            if len(given) > self.most:
                raise RuntimeException("Failed to allocate memory for requested buffer of size 411041792")
            return np.full((len(given), 1), 30.0)

    enough = Client(5)
    assert DeepFaceClient(enough, "Age", Loaded())(network_input(portraits)).shape == (9, 1)
    assert enough.batches == [9, 4, 5]
    with pytest.raises(OutOfMemory, match="DeepFace's Age"):
        DeepFaceClient(Client(2), "Age", Loaded())(network_input(portraits))


def test_a_worker_does_not_load_an_installed_tensorflow() -> None:
    """TensorFlow, PyTorch and JAX are loaded by the engines that need them, which are not the default."""
    code = (
        "import sys; from pathlib import Path; from shared.vitals import Branch;"
        "from workers.analyzer import Analyzer, AnalyzerOptions; import tempfile;"
        "Analyzer.load(AnalyzerOptions(Path(tempfile.mkdtemp()), device='cpu'));"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'tensorflow', 'torch', 'jax'}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip().splitlines()[-1] == "[]"


def test_crops_match_deepfaces_preprocessing(portraits: tuple[Portrait, ...]) -> None:
    """The box of the mesh is scaled to the input size and padded with black, as in DeepFace's own function."""
    from deepface.modules.preprocessing import resize_image

    portrait = portraits[0]
    ours = network_input([portrait])[0]
    low, high = portrait.landmarks.min(axis=0), portrait.landmarks.max(axis=0)
    left, top = np.rint(low).astype(int)
    right, bottom = np.rint(high).astype(int)
    theirs = resize_image(portrait.rgb[top:bottom, left:right, ::-1], (SIDE, SIDE))[0]
    assert ours.shape == theirs.shape == (SIDE, SIDE, 3)
    # The head is almost upright, so that levelling the eyes changes little compared with the contrast of the face.
    assert np.abs(ours - theirs).mean() < 0.05
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.95
    assert len(LAYERS) == 16
