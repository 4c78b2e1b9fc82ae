"""A network that runs on ONNX Runtime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: float32 arrays in, one for each of the network's inputs; float32 out.
Network = Callable[..., NDArray[np.float32]]


def open_network(path: Path, threads: int) -> Network:
    """Open an ONNX file with one output, to run on `threads` threads of the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(threads, 1)
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take the core from the decoder next door.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena keeps the largest clip's memory for ever.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names: list[str] = [given.name for given in session.get_inputs()]

    def run(*inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        fed = {name: np.ascontiguousarray(given) for name, given in zip(names, inputs, strict=True)}
        answer: NDArray[np.float32] = session.run(None, fed)[0]
        return answer

    return run
