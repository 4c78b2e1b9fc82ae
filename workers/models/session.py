"""A network that runs on ONNX Runtime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: float32 in, float32 out.
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def open_network(path: Path, threads: int) -> Network:
    """Open an ONNX file with one input and one output, to run on `threads` threads of the CPU."""
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
    name: str = session.get_inputs()[0].name

    def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = session.run(None, {name: np.ascontiguousarray(x)})[0]
        return answer

    return run
