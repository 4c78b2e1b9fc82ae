"""DeepFace's own clients for age and gender (Serengil and Ozpinar 2021), on the engine of the operator's choice.

DeepFace downloads weights that it does not find. Here it always finds them: what has not been fetched, or has another
checksum, never reaches it. Its Keras files are the ones with known checksums; those of its other engines are made from
them, once, in a folder of their own.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from workers.models.build import ModelNotInstalled, write_whole
from workers.models.checkpoint import CheckpointUnreadable
from workers.models.memory import Place, free_bytes, require_room, with_care
from workers.models.session import Device, Loaded
from workers.models.vggface import graph_of, read_layers, torch_names

Floats = NDArray[np.float32]
Engine = Literal["onnx", "pytorch", "tensorflow"]
Attribute = Literal["Age", "Gender"]

#: What each engine imports, and how its files end.
_PACKAGES: Final[dict[Engine, str]] = {"onnx": "onnxruntime", "pytorch": "torch", "tensorflow": "tensorflow"}
_ENDINGS: Final[dict[Engine, str]] = {"onnx": "onnx", "pytorch": "pth", "tensorflow": "h5"}
#: Where DeepFace looks for weights, inside of its home.
WEIGHTS: Final = Path(".deepface") / "weights"
# The home of files that are made from Keras' ones; another recipe, another folder.
_MADE: Final = "deepface-made-1"


class DeepFaceClient:
    """One of DeepFace's clients, ready: faces (n, 224, 224, 3) BGR from 0 to 1 become answers (n, k)."""

    def __init__(self, client: Any, attribute: Attribute, loaded: Loaded) -> None:  # noqa: ANN401  (DeepFace carries no types)
        self._client, self._attribute = client, attribute
        self.loaded = loaded

    def __call__(self, *inputs: Floats) -> Floats:
        """Years (n, 1) of the age's client; probabilities (n, 2) of woman and man. Raises OutOfMemory."""
        return with_care(f"DeepFace's {self._attribute}", self._run, inputs, self._free, batched=True)

    def _run(self, faces: Floats) -> Floats:
        return np.asarray(self._client.predict(faces), np.float32).reshape(len(faces), -1)

    def _free(self) -> None:
        if type(self._client).__module__.startswith("deepface.models.demography.pytorch"):
            import torch

            torch.cuda.empty_cache()


@dataclass(frozen=True)
class DeepFaceOptions:
    """Which engine runs DeepFace, and the folder that holds its `.deepface/weights`."""

    home: Path
    engine: Engine = "onnx"


def open_deepface(
    attribute: Attribute, keras_file: Path, options: DeepFaceOptions, threads: int, device: Device = "cpu"
) -> DeepFaceClient:
    """Build one of DeepFace's clients from the Keras file of its weights.

    The environment variables by which DeepFace is told its engine and its folder are set for this process. Its ONNX
    engine takes every core, whatever `threads` says: it can't be told.

    Raises:
        ModelNotInstalled: DeepFace or its engine is not installed.
        CheckpointUnreadable: the file is none of DeepFace's.
        DoesNotFit: the device has not the memory for it.
    """
    begun = time.monotonic()
    for package in ("deepface", _PACKAGES[options.engine]):
        if find_spec(package) is None:
            raise ModelNotInstalled(f"{package} is not installed; get it with: make seed-environment")
    home = options.home if options.engine == "tensorflow" else _made(keras_file, options)
    weights = home / WEIGHTS / f"{keras_file.stem}.{_ENDINGS[options.engine]}"
    if not weights.is_file():
        raise ModelNotInstalled(f"{weights} is not there")
    room: Place = "cpu" if device == "cpu" or free_bytes("cuda") is None else "cuda"
    require_room(f"deepface.{attribute.lower()}", weights.stat().st_size, room)
    _tell(home, options.engine, device)
    place = _PREPARE[options.engine](max(threads, 1))
    try:
        from deepface.modules import modeling

        client = modeling.build_model("facial_attribute", attribute)
    except ValueError as error:
        raise CheckpointUnreadable(f"DeepFace can't load {weights.name}: {error}") from error
    return DeepFaceClient(
        client, attribute, Loaded(place, weights.stat().st_size, round(1000 * (time.monotonic() - begun)))
    )


def _tell(home: Path, engine: Engine, device: Device) -> None:
    if device == "cpu":
        # PyTorch's and TensorFlow's clients take whatever GPU they see.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ |= {
        "DEEPFACE_HOME": str(home),
        "DEEPFACE_BACKEND_ENGINE": engine,
        "DEEPFACE_ONNX_PROVIDERS": "cpu" if device == "cpu" else "cuda,cpu",
        "DEEPFACE_LOG_LEVEL": "40",
        # As DeepFace's own front door does: its weights are of the Keras before the third.
        "TF_USE_LEGACY_KERAS": "1",
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # TensorFlow would take all of the GPU's memory at once, and leave the other models none.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }


def _made(keras_file: Path, options: DeepFaceOptions) -> Path:
    """The home of what is made from Keras' file for this engine; made now where it was not yet."""
    home = options.home / _MADE
    target = home / WEIGHTS / f"{keras_file.stem}.{_ENDINGS[options.engine]}"
    if not target.is_file():
        layers = read_layers(keras_file)
        write_whole(target, graph_of(layers) if options.engine == "onnx" else _torch_file(layers))
    return home


def _torch_file(layers: list[tuple[Floats, Floats]]) -> bytes:
    import io

    import torch

    buffer = io.BytesIO()
    torch.save({name: torch.from_numpy(value) for name, value in torch_names(layers).items()}, buffer)
    return buffer.getvalue()


def _onnx_place(_: int) -> Place:
    import onnxruntime

    asked = os.environ["DEEPFACE_ONNX_PROVIDERS"].startswith("cuda")
    return "cuda" if asked and "CUDAExecutionProvider" in onnxruntime.get_available_providers() else "cpu"


def _torch_place(threads: int) -> Place:
    import torch

    torch.set_num_threads(threads)
    # Its clients take the GPU wherever PyTorch sees one.
    return "cuda" if torch.cuda.is_available() else "cpu"


def _tensorflow_place(threads: int) -> Place:
    import tensorflow as tf

    with suppress(RuntimeError):  # it runs already, with the threads that it was told before
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    return "cuda" if tf.config.list_physical_devices("GPU") else "cpu"


_PREPARE: Final[dict[Engine, Callable[[int], Place]]] = {
    "onnx": _onnx_place,
    "pytorch": _torch_place,
    "tensorflow": _tensorflow_place,
}
