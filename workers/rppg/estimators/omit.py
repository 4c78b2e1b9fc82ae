"""OMIT: orthogonal matrix image transformation.

Álvarez Casado, Bordallo López 2023, "Face2PPG: an unsupervised pipeline for blood volume pulse extraction from faces",
IEEE J. Biomed. Health Inform. 27(11):5530.
"""

import numpy as np
from numpy.typing import NDArray

from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.traces import Traces


def project(rgb: NDArray[np.float64], fs: float) -> NDArray[np.float64]:  # noqa: ARG001  (the common signature)
    """Project colours (3, n), linear RGB sampled at `fs` Hz, to the unfiltered pulse (n,), rising with blood volume.

    With q the first column of Q in C = Q·R: P = I - q·qᵀ, and the green row of P·C.
    """
    q = np.linalg.qr(rgb)[0][:, :1]
    rows: NDArray[np.float64] = (np.eye(3) - q @ q.T) @ rgb
    wave: NDArray[np.float64] = -rows[1]
    return wave


def estimate(traces: Traces) -> NDArray[np.float64]:
    """Return the pulse wave (n,) of the whole face, standardised, rising with blood volume."""
    return to_pulse_wave(project(traces.face, traces.fs), traces.fs)
