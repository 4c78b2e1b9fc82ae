"""A network that runs on ONNX Runtime."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from workers.models.memory import Place, require_room, with_care


@dataclass(frozen=True)
class Loaded:
    """What it took to have a network ready: where it runs, what its weights weigh, how long it took."""

    place: Place = "cpu"
    weights_bytes: int = 0
    load_ms: int = 0


class Runner(Protocol):
    """Whatever a vital asks: float32 arrays in, float32 out. Raises OutOfMemory (`workers.models.memory`)."""

    @property
    def loaded(self) -> Loaded:
        """Where it runs, and what loading it took."""

    def __call__(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """One run."""


class Network:
    """A network ready to run: float32 arrays in, one for each of its inputs; float32 out.

    `shapes` are those of its inputs, a free dimension by its name.
    """

    def __init__(self, session: Any, name: str = "network", loaded: Loaded | None = None) -> None:  # noqa: ANN401  (ONNX Runtime has no types)
        self._session = session
        self._name = name
        self.loaded = loaded or Loaded()
        self._names: list[str] = [given.name for given in session.get_inputs()]
        self.shapes: list[list[int | str]] = [given.shape for given in session.get_inputs()]
        first = {given.shape[0] if given.shape else 1 for given in (*session.get_inputs(), session.get_outputs()[0])}
        # Samples are independent where every array counts them along its first axis, and nothing else.
        self._batched = len(first) == 1 and isinstance(first.pop(), str)
        self._thrifty = False

    def __call__(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """One run; where memory ran out, one more after freeing what is cached, in halves where samples allow it.

        Raises:
            ValueError: more or fewer arrays than there are inputs.
            OutOfMemory: it ran out again.
        """
        return with_care(self._name, self._run, inputs, self._free, batched=self._batched)

    def _run(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        fed = {name: np.ascontiguousarray(given) for name, given in zip(self._names, inputs, strict=True)}
        answer: NDArray[np.float32] = self._session.run(None, fed, self._options())[0]
        return answer

    def _free(self) -> None:
        """From now on each run gives back what its device's arena has cached."""
        self._thrifty = True

    def _options(self) -> Any:  # noqa: ANN401  (ONNX Runtime has no types)
        if not self._thrifty or self.loaded.place != "cuda":
            return None
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "gpu:0")
        return options


#: Where networks run; `auto` takes the GPU if ONNX Runtime was installed with CUDA.
Device = Literal["auto", "cpu", "cuda"]

_CUDA: Final = "CUDAExecutionProvider"
_CPU: Final = "CPUExecutionProvider"


class DeviceUnavailable(Exception):  # noqa: N818  (named for what happened)
    """CUDA was asked for, and ONNX Runtime has none here: install requirements/gpu.lock, or set another device."""


def resolve(device: Device) -> Place:
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
        DoesNotFit: the device has not the memory for it.
    """
    import onnxruntime

    begun = time.monotonic()
    place = resolve(device)
    weights_bytes = path.stat().st_size
    require_room(path.stem, weights_bytes, place)
    # An arena that doubles with every request would refuse what fits.
    cuda = (_CUDA, {"arena_extend_strategy": "kSameAsRequested"})
    providers = [cuda, _CPU] if place == "cuda" else [_CPU]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(threads, 1)
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take the core from the decoder next door.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena keeps the largest clip's memory for ever.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    return Network(session, path.stem, Loaded(place, weights_bytes, round(1000 * (time.monotonic() - begun))))
