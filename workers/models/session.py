"""A network that runs on ONNX Runtime."""

from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray


class Network:
    """A network ready to run: float32 arrays in, one for each of its inputs; float32 out.

    `shapes` are those of its inputs, a free dimension by its name.
    """

    def __init__(self, session: Any) -> None:  # noqa: ANN401  (ONNX Runtime has no types)
        self._session = session
        self._names: list[str] = [given.name for given in session.get_inputs()]
        self.shapes: list[list[int | str]] = [given.shape for given in session.get_inputs()]

    def __call__(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """One run. Raises ValueError for more or fewer arrays than there are inputs."""
        fed = {name: np.ascontiguousarray(given) for name, given in zip(self._names, inputs, strict=True)}
        answer: NDArray[np.float32] = self._session.run(None, fed)[0]
        return answer


#: Where networks run; `auto` takes the GPU if ONNX Runtime was installed with CUDA.
Device = Literal["auto", "cpu", "cuda"]

_CUDA: Final = "CUDAExecutionProvider"
_CPU: Final = "CPUExecutionProvider"


class DeviceUnavailable(Exception):  # noqa: N818  (named for what happened)
    """CUDA was asked for, and ONNX Runtime has none here: install requirements/gpu.lock, or set another device."""


def resolve(device: Device) -> Literal["cpu", "cuda"]:
    """Where networks will run.

    Raises:
        DeviceUnavailable: `cuda` was asked for and is not there.
    """
    import onnxruntime

    if device == "cpu":
        return "cpu"
    if _CUDA in onnxruntime.get_available_providers():
        return "cuda"
    if device == "cuda":
        raise DeviceUnavailable(" ".join((DeviceUnavailable.__doc__ or "").split()))
    return "cpu"


def open_network(path: Path, threads: int, device: Device = "cpu") -> Network:
    """Open an ONNX file with one output; on the CPU it runs on `threads` threads.

    Raises:
        DeviceUnavailable: `cuda` was asked for and is not there.
    """
    import onnxruntime

    providers = [_CUDA, _CPU] if resolve(device) == "cuda" else [_CPU]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(threads, 1)
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take the core from the decoder next door.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena keeps the largest clip's memory for ever.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return Network(onnxruntime.InferenceSession(str(path), options, providers=providers))
