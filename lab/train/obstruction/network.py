"""The trained obstruction network as an ONNX file, batch normalisation folded into the convolutions."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from onnx import TensorProto, helper

from lab.arrays import Floats
from workers.face.occlusion_input import GRID, SIDE
from workers.models.graph import Graph

#: Added to variances, as PyTorch's `BatchNorm2d` does.
_EPSILON: Final = 1e-5


def graph_of(weights: Mapping[str, Floats]) -> bytes:
    """Serialise the network: `faces` (n, 3, 64, 64) to log-odds (n, 1, 16, 16) that a place is hidden, float32."""
    graph = Graph("faces")

    def block(name: str, stride: int = 1, dilation: int = 1) -> None:
        mean, variance = weights[f"{name}.1.running_mean"], weights[f"{name}.1.running_var"]
        scale = weights[f"{name}.1.weight"] / np.sqrt(variance + _EPSILON)
        kernel = weights[f"{name}.0.weight"] * scale[:, None, None, None]
        pads = [dilation * (kernel.shape[2] // 2)] * 4
        shift = weights[f"{name}.1.bias"] - mean * scale
        graph.add("Conv", kernel, shift, strides=[stride] * 2, pads=pads, dilations=[dilation] * 2)
        graph.add("Relu")

    block("a", 2)
    block("b", 2)
    graph.add("Add", weights["pos"])
    block("c")
    fine = graph.x
    block("d", 2)
    block("e")
    block("f", dilation=2)
    graph.add("Resize", np.zeros(0), np.array([1.0, 1.0, 2.0, 2.0]), mode="nearest", nearest_mode="floor",
              coordinate_transformation_mode="asymmetric")  # fmt: skip
    graph.concatenate(1, fine, graph.x)
    block("g")
    graph.add("Conv", weights["h.weight"], weights["h.bias"])
    faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    return graph.serialise("obstruction", [faces], ["n", 1, GRID, GRID])
