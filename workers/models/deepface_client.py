"""DeepFace's own clients for age and gender (Serengil and Ozpinar 2021), on the engine of the operator's choice.

DeepFace downloads weights that it does not find. Here it always finds them: it is not loaded unless they are installed
with the right checksum. Checksums are known of its Keras files; those of its other engines are converted from them,
once, in a folder of their own.
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

from workers.models.build import ModelNotInstalled, write_atomically
from workers.models.checkpoint import CheckpointUnreadable
from workers.models.memory import Place, free_bytes, require_room, retry_with_less_memory
from workers.models.session import Device, Loaded
from workers.models.vggface import graph_of, read_layers, torch_names

Engine = Literal["onnx", "pytorch", "tensorflow"]
Attribute = Literal["Age", "Gender"]

#: Package and file extension of each engine.
_PACKAGES: Final[dict[Engine, str]] = {"onnx": "onnxruntime", "pytorch": "torch", "tensorflow": "tensorflow"}
_ENDINGS: Final[dict[Engine, str]] = {"onnx": "onnx", "pytorch": "pth", "tensorflow": "h5"}
#: Folder of the weights inside DeepFace's home.
WEIGHTS: Final = Path(".deepface") / "weights"
#: Home of the converted files; another conversion has another folder.
_CONVERTED: Final = "deepface-made-1"


class DeepFaceClient:
    """A loaded client of DeepFace: faces (n, 224, 224, 3), BGR from 0 to 1, in, (n, k) out."""

    def __init__(self, client: Any, attribute: Attribute, loaded: Loaded) -> None:  # noqa: ANN401  (DeepFace carries no types)
        self._client, self._attribute = client, attribute
        self.loaded = loaded

    def __call__(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return years (n, 1), or probabilities (n, 2) of woman and man.

        Raises:
            OutOfMemory: the device's memory ran out twice.
        """
        return retry_with_less_memory(f"DeepFace's {self._attribute}", self._run, inputs, self._free, batched=True)

    def _run(self, faces: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._client.predict(faces), np.float32).reshape(len(faces), -1)

    def _free(self) -> None:
        if type(self._client).__module__.startswith("deepface.models.demography.pytorch"):
            import torch

            torch.cuda.empty_cache()


@dataclass(frozen=True)
class DeepFaceOptions:
    """The folder with DeepFace's `.deepface/weights`, and the engine that runs it."""

    home: Path
    engine: Engine = "onnx"


def open_deepface(
    attribute: Attribute, keras_file: Path, options: DeepFaceOptions, threads: int, device: Device = "cpu"
) -> DeepFaceClient:
    """Load one of DeepFace's clients from the Keras file of its weights.

    Sets DeepFace's environment variables for its engine and folder in this process. Its ONNX engine uses every core,
    whatever `threads` is: it has no option for that.

    Raises:
        ModelNotInstalled: DeepFace or its engine is not installed.
        CheckpointUnreadable: the file is not one of DeepFace's.
        DoesNotFit: the device has too little free memory.
    """
    begun = time.monotonic()
    for package in ("deepface", _PACKAGES[options.engine]):
        if find_spec(package) is None:
            raise ModelNotInstalled(f"{package} is not installed; get it with: make seed-environment")
    home = options.home if options.engine == "tensorflow" else _converted(keras_file, options)
    weights = home / WEIGHTS / f"{keras_file.stem}.{_ENDINGS[options.engine]}"
    if not weights.is_file():
        raise ModelNotInstalled(f"{weights} is not there")
    room: Place = "cpu" if device == "cpu" or free_bytes("cuda") is None else "cuda"
    require_room(f"deepface.{attribute.lower()}", weights.stat().st_size, room)
    _configure(home, options.engine, device)
    place = _PREPARE[options.engine](max(threads, 1))
    try:
        from deepface.modules import modeling

        client = modeling.build_model("facial_attribute", attribute)
    except ValueError as error:
        raise CheckpointUnreadable(f"DeepFace can't load {weights.name}: {error}") from error
    return DeepFaceClient(
        client, attribute, Loaded(place, weights.stat().st_size, round(1000 * (time.monotonic() - begun)))
    )


def _configure(home: Path, engine: Engine, device: Device) -> None:
    if device == "cpu":
        # PyTorch's and TensorFlow's clients use any GPU that they see.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ |= {
        "DEEPFACE_HOME": str(home),
        "DEEPFACE_BACKEND_ENGINE": engine,
        "DEEPFACE_ONNX_PROVIDERS": "cpu" if device == "cpu" else "cuda,cpu",
        "DEEPFACE_LOG_LEVEL": "40",
        # As DeepFace itself does: its weights are Keras 2's.
        "TF_USE_LEGACY_KERAS": "1",
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # TensorFlow would reserve all of the GPU's memory at once.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }


def _converted(keras_file: Path, options: DeepFaceOptions) -> Path:
    """Home of the weights converted for this engine; converts them if that was not done yet."""
    home = options.home / _CONVERTED
    target = home / WEIGHTS / f"{keras_file.stem}.{_ENDINGS[options.engine]}"
    if not target.is_file():
        layers = read_layers(keras_file)
        write_atomically(target, graph_of(layers) if options.engine == "onnx" else _torch_file(layers))
    return home


def _torch_file(layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> bytes:
    import io

    import torch

    buffer = io.BytesIO()
    torch.save({name: torch.from_numpy(value) for name, value in torch_names(layers).items()}, buffer)
    return buffer.getvalue()


def _onnx_place(_: int) -> Place:
    import onnxruntime

    requested = os.environ["DEEPFACE_ONNX_PROVIDERS"].startswith("cuda")
    return "cuda" if requested and "CUDAExecutionProvider" in onnxruntime.get_available_providers() else "cpu"


def _torch_place(threads: int) -> Place:
    import torch

    torch.set_num_threads(threads)
    # Its clients use the GPU if PyTorch sees one.
    return "cuda" if torch.cuda.is_available() else "cpu"


def _tensorflow_place(threads: int) -> Place:
    import tensorflow as tf

    with suppress(RuntimeError):  # TensorFlow is running already, with the threads that were set before
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    return "cuda" if tf.config.list_physical_devices("GPU") else "cpu"


_PREPARE: Final[dict[Engine, Callable[[int], Place]]] = {
    "onnx": _onnx_place,
    "pytorch": _torch_place,
    "tensorflow": _tensorflow_place,
}
