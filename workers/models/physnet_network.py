"""PhysNet as an ONNX graph.

Yu, Li, Zhao 2019, "Remote photoplethysmograph signal measurement from facial videos using spatio-temporal networks",
BMVC (arXiv 1905.02419): nine blocks of 3-D convolution, batch normalisation and ReLU with poolings between them, two
transposed convolutions that restore the resolution in time, an average over space, a 1x1x1 convolution. The weights are
Keras's: kernels are (time, height, width, in, out), those of transposed convolutions (time, height, width, out, in).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import h5py
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from workers.models.graph import Graph

#: Side of the input, pixels.
SIDE: Final = 32
#: Poolings (time, height, width), by the number of the block that they follow.
POOLINGS: Final[Mapping[int, tuple[int, int, int]]] = {1: (1, 2, 2), 3: (2, 2, 2), 5: (2, 2, 2), 7: (1, 2, 2)}
#: Blocks of convolutions.
BLOCKS: Final = 9
#: Keras's default, with which the weights were trained.
BATCH_NORMALISATION_EPSILON: Final = 1e-3


def graph_of(weights: Path) -> bytes:
    """Build the serialised network: `frames` (1, 3, n, 32, 32) → wave (n,), n divisible by 4, float32.

    `frames` are RGB, standardised per channel over the clip. The result is deterministic.

    Raises:
        KeyError: the file has no weights of PhysNet.
        OSError: the file is not HDF5.
    """
    graph = Graph("frames")
    with h5py.File(weights, "r") as file:
        for block in range(1, BLOCKS + 1):
            layers = file[f"ConvBlock{block}/layers"]
            kernel, bias = _fold(layers, "conv3d", out_axis=4)
            time, height, width = kernel.shape[:3]
            graph.add("Conv", kernel.transpose(4, 3, 0, 1, 2), bias, pads=[time // 2, height // 2, width // 2] * 2)
            graph.add("Relu")
            if block in POOLINGS:
                graph.add("MaxPool", kernel_shape=POOLINGS[block], strides=POOLINGS[block])
        for block in (9, 10):
            kernel, bias = _fold(file[f"layers/sequential_{block}/layers"], "conv3d_transpose", out_axis=3)
            graph.add(
                "ConvTranspose", kernel.transpose(4, 3, 0, 1, 2), bias, strides=[2, 1, 1], pads=[1, 0, 0, 1, 0, 0]
            )
            graph.add("Elu")
        graph.add("AveragePool", kernel_shape=[1, 2, 2], strides=[1, 2, 2])
        last = file["convBlock10/vars"]
        graph.add(
            "Conv",
            np.asarray(last["0"][()], np.float64).transpose(4, 3, 0, 1, 2),
            np.asarray(last["1"][()], np.float64),
        )
    graph.add("Reshape", np.array([-1]))
    return graph.serialise(
        "physnet", [helper.make_tensor_value_info("frames", TensorProto.FLOAT, [1, 3, "n", SIDE, SIDE])]
    )


def _fold(layers: h5py.Group, convolution: str, out_axis: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Kernel and bias of a convolution with the batch normalisation after it folded in."""
    kernel, bias = (np.asarray(layers[f"{convolution}/vars/{part}"][()], np.float64) for part in range(2))
    gamma, beta, mean, variance = (
        np.asarray(layers[f"batch_normalization/vars/{part}"][()], np.float64) for part in range(4)
    )
    scale = gamma / np.sqrt(variance + BATCH_NORMALISATION_EPSILON)
    shape = [1] * 5
    shape[out_axis] = -1
    return kernel * scale.reshape(shape), (bias - mean) * scale + beta
