"""TS-CAN as an ONNX graph.

Liu, Fromm, Patel, McDuff 2020, "Multi-task temporal shift attention networks for on-device contactless vitals
measurement", NeurIPS 33 (arXiv 2006.03790): two branches of 3x3 convolutions, tanh throughout; before each
convolution of the motion branch a temporal shift (Lin et al. 2019), a third of the channels one frame back, a third one
frame forward, inside segments of `SEGMENT` frames; twice the appearance branch gates the motion branch through a soft
mask, and both are averaged over 2x2; then dense layers of 128 and 1.
The weights are Keras's: kernels are (height, width, in, out), and maps are flattened by height, width, channels.
"""

from pathlib import Path
from typing import Final

import h5py
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from workers.models.graph import Graph

#: Side of the input, pixels.
SIDE: Final = 36
#: Frames that a shift stays within: an eighth of the 160 frames that the weights were trained on.
SEGMENT: Final = 20
#: Side of the last maps.
_LAST_SIDE: Final = 7


def graph_of(weights: Path) -> bytes:
    """Build the serialised network: `motion` (n, 3, 36, 36) and `appearance` (1, 3, 36, 36) → (n,), n divisible by 20.

    `motion` are differences of neighbouring frames, each standardised over its pixels; `appearance` is the clip's mean
    frame, RGB in [0, 1]. The output is the wave's derivative. The result is deterministic.

    Raises:
        KeyError: the file has no weights of TS-CAN.
        OSError: the file is not HDF5.
    """
    with h5py.File(weights, "r") as file:
        root = file["inner"]
        graph = Graph("appearance")
        masks = []
        for stage in (1, 2):
            for layer in ("conv2d", "conv2d_1"):
                _convolve(graph, root[f"g{stage}/layers/{layer}/vars"], same=layer == "conv2d")
            features = graph.x
            masks.append(_mask(graph, root[f"attn{stage}/layers/conv2d/vars"]))
            graph.x = features
            if stage == 1:
                graph.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
        graph.x = "motion"
        channels, side = 3, SIDE
        for stage, mask in enumerate(masks, start=1):
            for layer in ("conv2d", "conv2d_1"):
                _shift(graph, channels, side)
                channels = _convolve(graph, root[f"d{stage}/layers/{layer}/vars"], same=layer == "conv2d")
            side -= 2
            graph.join("Mul", mask)
            graph.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
            side //= 2
        hidden = _array(root["d/layers/dense/vars/0"])
        rows = hidden.reshape(_LAST_SIDE, _LAST_SIDE, channels, -1).transpose(2, 0, 1, 3).reshape(hidden.shape)
        graph.add("Reshape", np.array([-1, len(rows)]))
        graph.add("Gemm", rows, _array(root["d/layers/dense/vars/1"]))
        graph.add("Tanh")
        graph.add("Gemm", _array(root["d/layers/dense_1/vars/0"]), _array(root["d/layers/dense_1/vars/1"]))
        graph.add("Reshape", np.array([-1]))
    return graph.serialise(
        "tscan",
        [
            helper.make_tensor_value_info("motion", TensorProto.FLOAT, ["n", 3, SIDE, SIDE]),
            helper.make_tensor_value_info("appearance", TensorProto.FLOAT, [1, 3, SIDE, SIDE]),
        ],
    )


def _convolve(graph: Graph, layer: h5py.Group, *, same: bool) -> int:
    """Append a 3x3 convolution and tanh, and return the number of channels."""
    kernel = _array(layer["0"]).transpose(3, 2, 0, 1)
    graph.add("Conv", kernel, _array(layer["1"]), pads=[1, 1, 1, 1] if same else [0, 0, 0, 0])
    graph.add("Tanh")
    return int(kernel.shape[0])


def _mask(graph: Graph, layer: h5py.Group) -> str:
    """Soft attention, H·W·σ(w·x + b) / (2·‖σ(w·x + b)‖₁): the name of the mask."""
    graph.add("Conv", _array(layer["0"]).transpose(3, 2, 0, 1), _array(layer["1"]))
    graph.add("Sigmoid")
    mask = graph.x
    mean = graph.add("ReduceMean", axes=[2, 3], keepdims=1)
    graph.x = mask
    graph.join("Div", mean)
    return graph.add("Mul", np.array([0.5]))


def _shift(graph: Graph, channels: int, side: int) -> None:
    """Append a temporal shift of (n, c, h, w) inside segments; the frame at a segment's end is repeated."""
    third = channels // 3
    segments = graph.add("Reshape", np.array([-1, SEGMENT, channels, side, side]))

    def cut(time: tuple[int, int], channel: tuple[int, int]) -> str:
        graph.x = segments
        return graph.add("Slice", np.array([time[0], channel[0]]), np.array([time[1], channel[1]]), np.array([1, 2]))

    ahead = graph.concatenate(1, cut((1, SEGMENT), (0, third)), cut((SEGMENT - 1, SEGMENT), (0, third)))
    behind = graph.concatenate(1, cut((0, 1), (third, 2 * third)), cut((0, SEGMENT - 1), (third, 2 * third)))
    graph.concatenate(2, ahead, behind, cut((0, SEGMENT), (2 * third, channels)))
    graph.add("Reshape", np.array([-1, channels, side, side]))


def _array(dataset: h5py.Dataset) -> NDArray[np.float64]:
    return np.asarray(dataset[()], np.float64)
