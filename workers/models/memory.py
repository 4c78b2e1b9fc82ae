"""What a model may take of its device's memory: asked before it is loaded, and survived where it runs out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from workers.models.gpu import gpu_memory

Floats = NDArray[np.float32]

#: Where a model runs, once that is settled.
Place = Literal["cpu", "cuda"]

# What a model needs beside its weights while it runs, as a part of them: ViT-H/14, the largest, takes 3 GB in all for
# 2.5 GB of weights and one portrait. What small ones need beside theirs does not matter.
_WORKING: Final = 0.25
#: What the messages of ONNX Runtime, cuBLAS and cuDNN have in common where memory ran out. ONNX Runtime raises the same
#: types for everything that goes wrong.
_SAID: Final = ("out of memory", "failed to allocate memory", "alloc_failed", "out_of_memory", "bad_alloc", "bad alloc")
#: The file by which the kernel tells what this machine can still give, and those by which a container is bounded.
_MEMINFO: Final = Path("/proc/meminfo")
_CGROUP: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current"))


class DoesNotFit(Exception):  # noqa: N818  (named for what happened)
    """The model needs more memory than its device has free; the message says how much of either."""


class OutOfMemory(Exception):  # noqa: N818  (named for what happened)
    """The device's memory did not suffice for a model, nor for half of what it was given at once."""


def free_bytes(place: Place) -> int | None:
    """What the device can still give; None where it does not say."""
    if place == "cuda":
        memory = gpu_memory()
        return None if memory is None else memory.total_bytes - memory.used_bytes
    known = [free for free in (_free_of_machine(), _free_of_container()) if free is not None]
    return min(known, default=None)


def require_room(name: str, weights_bytes: int, place: Place) -> None:
    """Raises DoesNotFit where a model of so many bytes, and what it works with, are more than the device has free."""
    needed = int((1 + _WORKING) * weights_bytes)
    free = free_bytes(place)
    if free is not None and needed > free:
        device = "the GPU" if place == "cuda" else "this machine"
        msg = (
            f"{name} needs about {needed / 1e9:.1f} GB, {device} has {free / 1e9:.1f} GB free: "
            "use a smaller model, a larger device, or FACEVITALS_DEVICE=cpu"
        )
        raise DoesNotFit(msg)


def ran_out(error: BaseException) -> bool:
    """Whether an error of ONNX Runtime, PyTorch, TensorFlow or Python says that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ in {"OutOfMemoryError", "ResourceExhaustedError"}:
        return True
    said = str(error).lower()
    return isinstance(error, Exception) and any(words in said for words in _SAID)


def with_care(
    name: str, run: Callable[..., Floats], inputs: Sequence[Any], free: Callable[[], None], *, batched: bool
) -> Floats:
    """`run(*inputs)`; where memory runs out, what is cached is freed and it is tried once more: in halves of its
    first axis where that is one of independent samples (`batched`).

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
        raise OutOfMemory(f"{msg} of what it was given") from error


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
