"""AgeGenderNet as an ONNX graph.

The network of face-api (V. Mühler; weights as `@vladmandic/face-api` carries them, MIT): a small Xception (Chollet
2017, CVPR, arXiv 1610.02357) of an entry, two residual blocks and an exit, and two linear heads. The weights are one
file of bytes and a list of each tensor's shape and quantisation: value = byte · scale + min. Kernels are
(height, width, in, out).
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from workers.models.checkpoint import CheckpointUnreadable
from workers.models.graph import Graph

#: Side of the input, pixels.
SIDE: Final = 112
#: Residual blocks.
_MAIN_BLOCKS: Final = 2
#: Suffix of the file beside the weights that lists their tensors.
_LIST_SUFFIX: Final = "-weights_manifest.json"


def list_of(weights: Path) -> Path:
    """Return the path of the file beside `weights` that lists its tensors."""
    return weights.with_name(weights.stem + _LIST_SUFFIX)


def graph_of(weights: Path) -> bytes:
    """Build the serialised network: `faces` (n, 3, 112, 112) → (n, 3), float32: age, logits of male and female.

    `faces` are RGB from 0 to 255 less the mean colour, over 255; age is in years. The result is deterministic.

    Raises:
        CheckpointUnreadable: the list beside the weights is missing or is another network's.
    """
    tensors = _read(weights)
    try:
        return _network(tensors)
    except KeyError as missing:
        msg = f"{weights.name} has no tensor {missing}"
        raise CheckpointUnreadable(msg) from missing


def _network(tensors: dict[str, NDArray[np.float64]]) -> bytes:
    graph = Graph("faces")

    def convolve(name: str, stride: int) -> None:
        kernel = tensors[f"{name}/filters"].transpose(3, 2, 0, 1)
        graph.add("Conv", kernel, tensors[f"{name}/bias"], strides=[stride] * 2, **_same(kernel.shape[2], stride))

    def separable(name: str) -> None:
        graph.add(
            "Conv",
            tensors[f"{name}/depthwise_filter"].transpose(2, 3, 0, 1),
            group=tensors[f"{name}/depthwise_filter"].shape[2],
            **_same(3, 1),
        )
        graph.add("Conv", tensors[f"{name}/pointwise_filter"].transpose(3, 2, 0, 1), tensors[f"{name}/bias"])

    def reduction(name: str, *, opening: bool = True) -> None:
        given = graph.x
        if opening:
            graph.add("Relu")
        separable(f"{name}/separable_conv0")
        graph.add("Relu")
        separable(f"{name}/separable_conv1")
        graph.add("MaxPool", kernel_shape=[3, 3], strides=[2, 2], **_same(3, 2))
        reduced, graph.x = graph.x, given
        convolve(f"{name}/expansion_conv", 2)
        graph.join("Add", reduced)

    convolve("entry_flow/conv_in", 2)
    graph.add("Relu")
    reduction("entry_flow/reduction_block_0", opening=False)
    reduction("entry_flow/reduction_block_1")
    for block in range(_MAIN_BLOCKS):
        given = graph.x
        for part in range(3):
            graph.add("Relu")
            separable(f"middle_flow/main_block_{block}/separable_conv{part}")
        graph.join("Add", given)
    reduction("exit_flow/reduction_block")
    separable("exit_flow/separable_conv")
    graph.add("Relu")
    graph.add("AveragePool", kernel_shape=[7, 7], strides=[2, 2])
    graph.add("Flatten")
    heads = ("fc/age", "fc/gender")
    graph.add(
        "Gemm",
        np.concatenate([tensors[f"{head}/weights"] for head in heads], axis=1),
        np.concatenate([tensors[f"{head}/bias"] for head in heads]),
    )
    faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    return graph.serialise("agegender", [faces], ["n", 3])


def _same(kernel: int, stride: int) -> dict[str, list[int]]:
    """TensorFlow's "same" padding of an input whose side the stride divides: the odd pixel is at the end."""
    total = max(kernel - stride, 0)
    return {"pads": [total // 2] * 2 + [total - total // 2] * 2}


def _read(weights: Path) -> dict[str, NDArray[np.float64]]:
    beside = list_of(weights)
    try:
        listed: list[dict[str, Any]] = json.loads(beside.read_text("utf-8"))[0]["weights"]
    except (OSError, ValueError, LookupError) as error:
        msg = f"{beside.name}, which lists the tensors of {weights.name}, can't be read ({type(error).__name__})"
        raise CheckpointUnreadable(msg) from error
    data = weights.read_bytes()
    tensors: dict[str, NDArray[np.float64]] = {}
    at = 0
    for entry in listed:
        count = int(np.prod(entry["shape"]))
        packed = entry.get("quantization")
        kind = np.dtype(packed["dtype"] if packed else "<f4")
        if at + count * kind.itemsize > len(data):
            msg = f"{weights.name} is shorter than {beside.name} declares"
            raise CheckpointUnreadable(msg)
        values = np.frombuffer(data, kind, count, at).astype(np.float64)
        at += count * kind.itemsize
        if packed:
            values = values * float(packed["scale"]) + float(packed["min"])
        tensors[entry["name"]] = values.reshape(entry["shape"])
    return tensors
