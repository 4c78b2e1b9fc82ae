"""DeepFace's weights for age and gender, converted from Keras to the formats of its other engines.

VGG-Face (Parkhi, Vedaldi, Zisserman 2015, "Deep face recognition", BMVC): thirteen convolutions in five stages, two
dense layers as convolutions, and in place of the last one DeepFace's own, with softmax. Checksums are known of the
Keras files alone, so the others are converted from those.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from workers.models.checkpoint import CheckpointUnreadable
from workers.models.graph import Graph

#: Side of the input, pixels.
SIDE: Final = 224
#: Convolutions of each stage; a pooling follows each stage.
_STAGES: Final = (2, 2, 3, 3, 3)
#: The layers as DeepFace's PyTorch module names them, in order.
LAYERS: Final = (
    *(f"conv{stage}_{place}" for stage, count in enumerate(_STAGES, 1) for place in range(1, count + 1)),
    "fc6",
    "fc7",
    "predictions",
)

#: Kernel (out, in, h, w) and bias (out,) of each layer, in order.
Layers = list[tuple[NDArray[np.float32], NDArray[np.float32]]]


def read_layers(weights: Path) -> Layers:
    """Read the layers from a file of Keras' `Model.save_weights`.

    Raises:
        CheckpointUnreadable: the file has no layers of VGG-Face.
    """
    import h5py

    layers: Layers = []
    try:
        with h5py.File(weights) as file:
            for name in file.attrs["layer_names"]:
                group = file[name]
                parts = [np.asarray(group[part], np.float32) for part in group.attrs["weight_names"]]
                if parts:
                    kernel, bias = parts
                    layers.append((kernel.transpose(3, 2, 0, 1), bias))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise CheckpointUnreadable(f"{weights.name} holds no layers of Keras: {error}") from error
    widths = [kernel.shape[0] for kernel, _ in layers]
    if len(layers) != len(LAYERS) or any(
        kernel.shape[1] != before for (kernel, _), before in zip(layers, [3, *widths], strict=False)
    ):
        raise CheckpointUnreadable(f"{weights.name} is no VGG-Face: layers {widths}")
    return layers


def graph_of(layers: Layers) -> bytes:
    """Build the serialised network for DeepFace's ONNX engine: `faces` (n, 224, 224, 3) BGR from 0 to 1 → (n, k)."""
    graph = Graph("faces")
    graph.add("Transpose", perm=[0, 3, 1, 2])
    remaining = iter(layers)
    for count in _STAGES:
        for _ in range(count):
            _convolve(graph, *next(remaining), pads=[1, 1, 1, 1])
            graph.add("Relu")
        graph.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    for place, layer in enumerate(remaining):
        if place:
            graph.add("Relu")
        _convolve(graph, *layer, pads=[0, 0, 0, 0])
    graph.add("Flatten")
    graph.add("Softmax", axis=1)
    faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", SIDE, SIDE, 3])
    return graph.serialise("vggface", [faces], ["n", layers[-1][0].shape[0]])


def _convolve(graph: Graph, kernel: NDArray[np.float32], bias: NDArray[np.float32], pads: Sequence[int]) -> None:
    graph.add("Conv", np.asarray(kernel, np.float64), np.asarray(bias, np.float64), pads=list(pads))


def torch_names(layers: Layers) -> dict[str, NDArray[np.float32]]:
    """Return the weights by the names of DeepFace's PyTorch module."""
    named: dict[str, NDArray[np.float32]] = {}
    for name, (kernel, bias) in zip(LAYERS, layers, strict=True):
        path = name if name == "predictions" else f"backbone.{name}"
        named |= {f"{path}.weight": np.ascontiguousarray(kernel), f"{path}.bias": bias}
    return named
