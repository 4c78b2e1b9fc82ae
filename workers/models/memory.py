"""Memory of the device: checked before a model is loaded, and recovered from if it runs out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from workers.models.gpu import gpu_memory

#: Where a model runs.
Place = Literal["cpu", "cuda"]

#: Memory that a model needs beside its weights while it runs, as a share of them: ViT-H/14, the largest, uses 3 GB in
#: all for 2.5 GB of weights and one portrait. For small models the share does not matter.
_WORKING_SHARE: Final = 0.25
#: Parts of the messages of ONNX Runtime, cuBLAS and cuDNN if memory runs out. ONNX Runtime raises the same exceptions
#: for every failure.
_MESSAGES: Final = (
    "out of memory",
    "failed to allocate memory",
    "alloc_failed",
    "out_of_memory",
    "bad_alloc",
    "bad alloc",
)
#: The kernel's file of this machine's free memory, and the files of a container's limit and usage.
_MEMINFO: Final = Path("/proc/meminfo")
_CGROUP: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current"))


class DoesNotFit(Exception):  # noqa: N818  (named for what happened)
    """The model needs more memory than its device has free; the message gives both."""


class OutOfMemory(Exception):  # noqa: N818  (named for what happened)
    """The device's memory ran out twice, the second time with half of the samples if they are independent."""


def free_bytes(place: Place) -> int | None:
    """Return the free memory of the device, bytes; None if it is unknown."""
    if place == "cuda":
        memory = gpu_memory()
        return None if memory is None else memory.total_bytes - memory.used_bytes
    known = [free for free in (_free_of_machine(), _free_of_container()) if free is not None]
    return min(known, default=None)


def require_room(name: str, weights_bytes: int, place: Place) -> None:
    """Check that a model with so many bytes of weights fits into the device's free memory.

    Raises:
        DoesNotFit: it does not.
    """
    needed = int((1 + _WORKING_SHARE) * weights_bytes)
    free = free_bytes(place)
    if free is not None and needed > free:
        device = "the GPU" if place == "cuda" else "this machine"
        msg = (
            f"{name} needs about {needed / 1e9:.1f} GB, {device} has {free / 1e9:.1f} GB free: "
            "use a smaller model, a larger device, or FACEVITALS_DEVICE=cpu"
        )
        raise DoesNotFit(msg)


def ran_out(error: BaseException) -> bool:
    """Whether an error of ONNX Runtime, PyTorch, TensorFlow or Python means that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ in {"OutOfMemoryError", "ResourceExhaustedError"}:
        return True
    message = str(error).lower()
    return isinstance(error, Exception) and any(words in message for words in _MESSAGES)


def retry_with_less_memory(
    name: str,
    run: Callable[..., NDArray[np.float32]],
    inputs: Sequence[Any],
    free: Callable[[], None],
    *,
    batched: bool,
) -> NDArray[np.float32]:
    """Return `run(*inputs)`; if memory runs out, call `free` and try once more.

    The second try is in halves of the first axis if that is one of independent samples (`batched`).

    Raises:
        OutOfMemory: the second try ran out as well.
    """
    try:
        return run(*inputs)
    except Exception as error:
        if not ran_out(error):
            raise
    free()
    size = len(inputs[0])
    parts = [slice(0, size // 2), slice(size // 2, size)] if batched and size > 1 else [slice(0, size)]
    try:
        return np.concatenate([run(*(given[part] for given in inputs)) for part in parts])
    except Exception as error:
        if not ran_out(error):
            raise
        free()
        msg = f"{name} ran out of the device's memory twice, the second time with {'half' if len(parts) > 1 else 'all'}"
        raise OutOfMemory(f"{msg} of its input") from error


def _free_of_machine() -> int | None:
    try:
        lines = _MEMINFO.read_text("ascii").splitlines()
    except OSError:
        return None
    sizes = dict(line.split(":", 1) for line in lines)
    return int(sizes["MemAvailable"].split()[0]) << 10 if "MemAvailable" in sizes else None


def _free_of_container() -> int | None:
    try:
        most, used = (path.read_text("ascii").strip() for path in _CGROUP)
        return int(most) - int(used)
    except (OSError, ValueError):  # no container's bound
        return None
