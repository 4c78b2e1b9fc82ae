"""Networks on ONNX Runtime."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from workers.models.memory import Place, require_room, retry_with_less_memory


@dataclass(frozen=True)
class Loaded:
    """Where a network runs, the size of its weights, and how long it took to load."""

    place: Place = "cpu"
    weights_bytes: int = 0
    load_ms: int = 0


class Runner(Protocol):
    """A loaded network: float32 arrays in, one float32 array out."""

    @property
    def loaded(self) -> Loaded:
        """Where it runs, and how long it took to load."""

    def __call__(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network.

        Raises:
            OutOfMemory: the device's memory ran out.
        """


class Network:
    """A network of ONNX Runtime: float32 arrays in, one for each of its inputs; one float32 array out.

    `shapes` are the shapes of its inputs, a free dimension by its name.
    """

    def __init__(self, session: Any, name: str = "network", loaded: Loaded | None = None) -> None:  # noqa: ANN401  (ONNX Runtime has no types)
        self._session = session
        self._name = name
        self.loaded = loaded or Loaded()
        self._names: list[str] = [given.name for given in session.get_inputs()]
        self.shapes: list[list[int | str]] = [given.shape for given in session.get_inputs()]
        first = {given.shape[0] if given.shape else 1 for given in (*session.get_inputs(), session.get_outputs()[0])}
        # Samples are independent if their number is the first dimension of every array.
        self._batched = len(first) == 1 and isinstance(first.pop(), str)
        self._thrifty = False

    def __call__(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network; if memory runs out, free caches and run again, in halves if samples are independent.

        Raises:
            ValueError: the number of arrays is not that of the inputs.
            OutOfMemory: memory ran out twice.
        """
        return retry_with_less_memory(self._name, self._run, inputs, self._free, batched=self._batched)

    def _run(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        fed = {name: np.ascontiguousarray(given) for name, given in zip(self._names, inputs, strict=True)}
        answer: NDArray[np.float32] = self._session.run(None, fed, self._options())[0]
        return answer

    def _free(self) -> None:
        """Make each later run release what its device's arena has cached."""
        self._thrifty = True

    def _options(self) -> Any:  # noqa: ANN401  (ONNX Runtime has no types)
        if not self._thrifty or self.loaded.place != "cuda":
            return None
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "gpu:0")
        return options


#: Where networks run; `auto` is the GPU if ONNX Runtime was installed with CUDA.
Device = Literal["auto", "cpu", "cuda"]

_CUDA: Final = "CUDAExecutionProvider"
_CPU: Final = "CPUExecutionProvider"


class DeviceUnavailable(RuntimeError):  # noqa: N818  (named for what happened)
    """CUDA was requested, and ONNX Runtime has none here: install requirements/gpu.lock, or set another device."""


def resolve(device: Device) -> Place:
    """Return where networks will run.

    Raises:
        DeviceUnavailable: `device` is `cuda`, and ONNX Runtime has no CUDA here.
    """
    import onnxruntime

    if device == "cpu":
        return "cpu"
    if _CUDA in onnxruntime.get_available_providers():
        return "cuda"
    if device == "cuda":
        raise DeviceUnavailable(" ".join((DeviceUnavailable.__doc__ or "").split()))
    return "cpu"


def open_network(path: Path, threads: int, device: Device = "cpu", *, required: bool = False) -> Network:
    """Load an ONNX file with one output; on the CPU it runs on `threads` threads.

    A network that is `required` is loaded without a look at the free memory: nothing can be measured without it.

    Raises:
        DeviceUnavailable: `device` is `cuda`, and ONNX Runtime has no CUDA here.
        DoesNotFit: the device has too little free memory.
    """
    import onnxruntime

    begun = time.monotonic()
    place = resolve(device)
    weights_bytes = path.stat().st_size
    if not required:
        require_room(path.stem, weights_bytes, place)
    # The default arena doubles with every request, and fails for networks that would fit.
    cuda = (_CUDA, {"arena_extend_strategy": "kSameAsRequested"})
    providers = [cuda, _CPU] if place == "cuda" else [_CPU]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(threads, 1)
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take CPU time from the decoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The CPU arena never releases the memory of the largest clip.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    return Network(session, path.stem, Loaded(place, weights_bytes, round(1000 * (time.monotonic() - begun))))
