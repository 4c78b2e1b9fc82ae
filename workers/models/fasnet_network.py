"""MiniFASNet as an ONNX graph: the two networks that DeepFace uses against presentation attacks.

Silent-Face-Anti-Spoofing (Minivision, Apache-2.0): MobileFaceNet's blocks (Chen et al. 2018, arXiv 1804.07573) made
narrow, in the second network with squeeze-and-excitation (Hu et al. 2018, CVPR, arXiv 1709.01507). Widths are those
of the weights; the networks take BGR from 0 to 255.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from workers.models.checkpoint import CheckpointUnreadable, read_checkpoint
from workers.models.graph import Graph

#: Side of the input, pixels.
SIDE: Final = 80
#: PyTorch's default of batch normalisation.
_EPSILON: Final = 1e-5
#: Blocks in order: those that halve the resolution, and stacks of residual ones.
_STAGES: Final = ("conv_23", "conv_3", "conv_34", "conv_4", "conv_45", "conv_5")


def graph_of(weights: Path) -> bytes:
    """Build the serialised network: `faces` (n, 3, 80, 80) → (n, 3) logits, float32, of which the second is "live".

    The result is deterministic.

    Raises:
        CheckpointUnreadable: the file has other weights.
    """
    tensors = {name: np.asarray(value, np.float64) for name, value in read_checkpoint(weights).items()}
    try:
        return _Writer(tensors).network()
    except (KeyError, ValueError) as error:
        msg = f"{weights.name} is no MiniFASNet: {error}"
        raise CheckpointUnreadable(msg) from error


class _Writer:
    def __init__(self, tensors: Mapping[str, NDArray[np.float64]]) -> None:
        self._tensors = tensors
        self._graph = Graph("faces")

    def network(self) -> bytes:
        graph = self._graph
        self._convolve("conv1", 2, active=True)
        self._convolve("conv2_dw", 1, active=True)
        for stage in _STAGES:
            if f"{stage}.conv.conv.weight" in self._tensors:
                self._depth_wise(stage, 2)
                continue
            block = 0
            while f"{stage}.model.{block}.conv.conv.weight" in self._tensors:
                given = graph.x
                self._depth_wise(f"{stage}.model.{block}", 1)
                self._excite(f"{stage}.model.{block}.se_module")
                graph.join("Add", given)
                block += 1
            if not block:
                raise KeyError(stage)
        self._convolve("conv_6_sep", 1, active=True)
        self._convolve("conv_6_dw", 1, active=False, padded=False)
        graph.add("Flatten")
        scale, shift = self._normalisation("bn")
        linear = self._tensors["linear.weight"]
        graph.add("Gemm", (linear * scale[:, None]).T, shift)
        graph.add("MatMul", self._tensors["prob.weight"].T)
        faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
        return graph.serialise("minifasnet", [faces], ["n", 3])

    def _depth_wise(self, name: str, stride: int) -> None:
        self._convolve(f"{name}.conv", 1, active=True)
        self._convolve(f"{name}.conv_dw", stride, active=True)
        self._convolve(f"{name}.project", 1, active=False)

    def _convolve(self, name: str, stride: int, *, active: bool, padded: bool = True) -> None:
        kernel = self._tensors[f"{name}.conv.weight"]
        scale, shift = self._normalisation(f"{name}.bn")
        grouped = kernel.shape[1] == 1 and kernel.shape[0] > 1
        self._graph.add(
            "Conv",
            kernel * scale[:, None, None, None],
            shift,
            strides=[stride] * 2,
            pads=[kernel.shape[2] // 2 if padded else 0] * 4,
            group=kernel.shape[0] if grouped else 1,
        )
        if active:
            self._graph.add("PRelu", self._tensors[f"{name}.prelu.weight"][:, None, None])

    def _excite(self, name: str) -> None:
        if f"{name}.fc1.weight" not in self._tensors:
            return
        given = self._graph.x
        self._graph.add("GlobalAveragePool")
        for part in (1, 2):
            scale, shift = self._normalisation(f"{name}.bn{part}")
            self._graph.add("Conv", self._tensors[f"{name}.fc{part}.weight"] * scale[:, None, None, None], shift)
            self._graph.add("Relu" if part == 1 else "Sigmoid")
        self._graph.join("Mul", given)

    def _normalisation(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        parts: dict[str, Any] = {
            part: self._tensors[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        }
        scale = parts["weight"] / np.sqrt(parts["running_var"] + _EPSILON)
        return scale, parts["bias"] - parts["running_mean"] * scale
