"""PhysNet's weights become an ONNX graph.

Yu, Li, Zhao 2019, "Remote photoplethysmograph signal measurement from facial videos using spatio-temporal
networks", BMVC
(arXiv 1905.02419), figure 2: nine blocks of 3-D convolution, batch normalisation and ReLU with poolings between them,
two
transposed convolutions that give time its resolution back, an average over space, a 1x1x1 convolution.
The weights are Keras's: kernels lie (time, height, width, in, out), those of transposed convolutions (time, height,
width, out, in).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIDE: Final = 32
#: Poolings (time, height, width) after the block of that number.
POOLINGS: Final[Mapping[int, tuple[int, int, int]]] = {1: (1, 2, 2), 3: (2, 2, 2), 5: (2, 2, 2), 7: (1, 2, 2)}
BLOCKS: Final = 9
#: Keras's default, with which the weights were trained.
BATCH_NORMALISATION_EPSILON: Final = 1e-3

Array = NDArray[np.float64]


class _Graph:
    """Nodes and weights in the order in which they are added; `x` is the last result's name."""

    def __init__(self, x: str) -> None:
        self.x = x
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def add(self, op: str, *weights: Array, **attributes: list[int] | tuple[int, ...]) -> None:
        index = len(self.nodes)
        names = [f"{op.lower()}{index}_{part}" for part in range(len(weights))]
        self.weights += [
            numpy_helper.from_array(
                np.ascontiguousarray(value, dtype=np.float32 if value.dtype.kind == "f" else np.int64), name
            )
            for name, value in zip(names, weights, strict=True)
        ]
        out = f"{op.lower()}{index}"
        node = helper.make_node(op, [self.x, *names], [out])
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self.nodes.append(node)
        self.x = out


def graph_of(weights: Path) -> bytes:
    """The serialised network: `frames` (1, 3, n, 32, 32) → `wave` (n,), n divisible by 4, float32.

    `frames` are RGB, standardised per channel over the clip. The same weights give the same bytes.
    """
    graph = _Graph("frames")
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
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "physnet",
            [helper.make_tensor_value_info("frames", TensorProto.FLOAT, [1, 3, "n", SIDE, SIDE])],
            [helper.make_tensor_value_info(graph.x, TensorProto.FLOAT, ["n"])],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.checker.check_model(model, full_check=True)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


def _fold(layers: h5py.Group, convolution: str, out_axis: int) -> tuple[Array, Array]:
    """Kernel and bias of a convolution with the batch normalisation after it folded in."""
    kernel, bias = (np.asarray(layers[f"{convolution}/vars/{part}"][()], np.float64) for part in range(2))
    gamma, beta, mean, variance = (
        np.asarray(layers[f"batch_normalization/vars/{part}"][()], np.float64) for part in range(4)
    )
    scale = gamma / np.sqrt(variance + BATCH_NORMALISATION_EPSILON)
    shape = [1] * 5
    shape[out_axis] = -1
    return kernel * scale.reshape(shape), (bias - mean) * scale + beta
