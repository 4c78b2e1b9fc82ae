"""DeepPhys as an ONNX graph.

Chen, McDuff 2018, "DeepPhys: video-based physiological measurement using convolutional attention networks", ECCV
(arXiv 1805.07888): two branches of 3x3 convolutions, tanh throughout; twice the appearance branch gates the motion
branch through a soft mask, and both are averaged over 2x2; then dense layers of 128 and 1.
Weights are a state dictionary as rPPG-Toolbox writes it; the size of its first dense layer is that of a network for
crops of 36 or of 72 pixels.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from workers.models.checkpoint import CheckpointUnreadable, read_checkpoint
from workers.models.graph import Graph

#: Inputs of the first dense layer, and the side of the crops: 64 maps after two valid convolutions and poolings.
SIDES: Final[Mapping[int, int]] = {64 * 7 * 7: 36, 64 * 16 * 16: 72}

#: Parts of the face that the graph's outputs are of.
PARTS: Final = ("whole", "left", "right")


def graph_of(weights: Path, *, single_appearance: bool = False) -> bytes:
    """Build the serialised network: `motion` and `appearance` (n, 3, s, s) → (n, 3), the wave's derivative.

    The side s is 36 or 72 pixels. The outputs are those of `PARTS`: of the whole face, and of the crop's left and right
    part alone, whose maps don't overlap, so that their noise is nearly independent. With `single_appearance` the
    network takes one appearance (1, 3, s, s) for all n: half the work, for weights that were trained so.

    Raises:
        CheckpointUnreadable: the file has other weights.
    """
    state = read_checkpoint(weights)
    try:
        return _graph(state, single_appearance=single_appearance)
    except KeyError as missing:
        raise CheckpointUnreadable(f"{weights.name} has no weights named {missing}: it is not DeepPhys") from missing


def _graph(state: Mapping[str, NDArray[Any]], *, single_appearance: bool) -> bytes:
    features = state["final_dense_1.weight"].shape[1]
    if features not in SIDES:
        raise CheckpointUnreadable(f"a dense layer of {features} inputs belongs to neither 36 nor 72 pixels")
    side = SIDES[features]
    # rPPG-Toolbox spells the branch's name with one p; the correct spelling is accepted as well.
    branch = "apperance" if "apperance_conv1.weight" in state else "appearance"
    graph = Graph("appearance")
    masks = []
    for stage, (first, second) in enumerate(((1, 2), (3, 4)), start=1):
        _convolve(graph, state, f"{branch}_conv{first}", same=True)
        features_of = _convolve(graph, state, f"{branch}_conv{second}", same=False)
        masks.append(_mask(graph, state, f"{branch}_att_conv{stage}"))
        graph.x = features_of
        if stage == 1:
            graph.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    graph.x = "motion"
    for mask, (first, second) in zip(masks, ((1, 2), (3, 4)), strict=True):
        _convolve(graph, state, f"motion_conv{first}", same=True)
        _convolve(graph, state, f"motion_conv{second}", same=False)
        graph.join("Mul", mask)
        graph.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    whole = graph.add("Reshape", np.array([-1, features]))
    parts = [whole]
    for part in _halves(features):
        graph.x = whole
        parts.append(graph.add("Mul", part))
    graph.concatenate(0, *parts)
    graph.add("Gemm", _array(state, "final_dense_1.weight").T, _array(state, "final_dense_1.bias"))
    graph.add("Tanh")
    graph.add("Gemm", _array(state, "final_dense_2.weight").T, _array(state, "final_dense_2.bias"))
    graph.add("Reshape", np.array([len(PARTS), -1]))
    graph.add("Transpose", perm=[1, 0])
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [count, 3, side, side])
        for name, count in (("motion", "n"), ("appearance", 1 if single_appearance else "n"))
    ]
    return graph.serialise("deepphys", inputs, ("n", len(PARTS)))


def _halves(features: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Masks (1, features) of the last maps for the left part alone, and for the right.

    The column in the middle is in neither, and the rest is scaled to the sum of the whole.
    """
    wide = round((features / 64) ** 0.5)
    left = np.zeros((64, wide, wide))
    left[:, :, : wide // 2] = wide / (wide // 2)
    return left.reshape(1, -1), left[:, :, ::-1].reshape(1, -1)


def _convolve(graph: Graph, state: Mapping[str, NDArray[Any]], name: str, *, same: bool) -> str:
    pads = [1, 1, 1, 1] if same else [0, 0, 0, 0]
    graph.add("Conv", _array(state, f"{name}.weight"), _array(state, f"{name}.bias"), pads=pads)
    return graph.add("Tanh")


def _mask(graph: Graph, state: Mapping[str, NDArray[Any]], name: str) -> str:
    """Soft attention, H·W·σ(w·x + b) / (2·‖σ(w·x + b)‖₁): the name of the mask."""
    graph.add("Conv", _array(state, f"{name}.weight"), _array(state, f"{name}.bias"))
    mask = graph.add("Sigmoid")
    mean = graph.add("ReduceMean", axes=[2, 3], keepdims=1)
    graph.x = mask
    graph.join("Div", mean)
    return graph.add("Mul", np.array([0.5]))


def _array(state: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.float64]:
    return np.asarray(state[name], np.float64)
