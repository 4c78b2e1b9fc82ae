"""Translate a network of TensorFlow Lite into an ONNX graph.

TensorFlow Lite has the channels last, ONNX has them second: tensors of four axes are translated to (n, c, h, w).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import tflite
from numpy.typing import NDArray
from onnx import TensorProto, helper

from workers.models import attention_operators
from workers.models.checkpoint import CheckpointUnreadable
from workers.models.graph import Graph
from workers.models.tflite_file import Operator, TfliteFile

#: Name of the network's input.
INPUT: Final = "pixels"

_RESIZE: Final = {(1, 0): "align_corners", (0, 1): "half_pixel", (0, 0): "asymmetric"}
#: Operators that are the same in ONNX, on results alone.
_SAME: Final = {"RELU": "Relu", "LOGISTIC": "Sigmoid", "HARD_SWISH": "HardSwish"}
_OPTIONS: Final = {
    "ADD": tflite.AddOptions,
    "MUL": tflite.MulOptions,
    "CONV_2D": tflite.Conv2DOptions,
    "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions,
    "MAX_POOL_2D": tflite.Pool2DOptions,
    "AVERAGE_POOL_2D": tflite.Pool2DOptions,
}


class Translation:
    """A network as an ONNX graph: `graph`, to which a builder may add, and the name of each tensor's result in it.

    Raises:
        CheckpointUnreadable: the network has an operator that is not supported.
    """

    def __init__(self, file: TfliteFile) -> None:
        self.file = file
        self.graph = Graph(INPUT)
        #: Options of MediaPipe's operators, in their order: the points that each crop of the mesh surrounds.
        self.crops: list[dict[str, Any]] = []
        self._names = {file.inputs[0]: INPUT}
        self._dense: dict[int, NDArray[Any]] = {}
        for operator in file.operators():
            self._translate(operator)

    def result(self, output: str) -> str:
        """Return the name of an output's result in the graph. Raises LookupError without that output."""
        return self.result_of(self.file.outputs[output])

    def result_of(self, tensor: int) -> str:
        """Return the name of a tensor's result in the graph. Raises LookupError without that result."""
        return self._names[tensor]

    def inputs(self) -> list[Any]:
        """Describe the graph's input: float32 (1, c, h, w)."""
        _, height, width, channels = self.file.shape(self.file.inputs[0])
        return [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, channels, height, width])]

    def _translate(self, operator: Operator) -> None:
        name = operator.name
        if name in {"DEQUANTIZE", "DENSIFY"}:
            self._dense[operator.outputs[0]] = self._weights(operator.inputs[0])
            return
        translate = self._translators().get(name)
        if translate is None:
            msg = f"the operator {name} of TensorFlow Lite is not supported"
            raise CheckpointUnreadable(msg)
        translate(operator)
        if name in _OPTIONS:
            self._activate(operator.options(_OPTIONS[name]).FusedActivationFunction())
        self._names[operator.outputs[0]] = self.graph.x

    def _translators(self) -> dict[str, Callable[[Operator], object]]:
        return {
            **dict.fromkeys(_SAME, lambda operator: self._add(_SAME[operator.name], operator)),
            "ADD": lambda operator: self._add("Add", operator),
            "MUL": lambda operator: self._add("Mul", operator),
            "CONV_2D": self._convolve,
            "DEPTHWISE_CONV_2D": self._convolve,
            "Convolution2DTransposeBias": self._enlarge,
            "PRELU": self._prelu,
            "MAX_POOL_2D": self._pool,
            "AVERAGE_POOL_2D": self._pool,
            "PAD": self._pad,
            "RESHAPE": self._reshape,
            "STRIDED_SLICE": self._whole,
            "CONCATENATION": self._concatenate,
            "RESIZE_BILINEAR": self._resize,
            "DEPTH_TO_SPACE": self._spread,
            "Landmarks2TransformMatrix": self._transform_around,
            "TransformTensorBilinear": self._crop,
            "TransformLandmarks": self._transform,
        }

    def _weights(self, tensor: int) -> NDArray[Any]:
        """Weights of a tensor. Raises CheckpointUnreadable where it is computed."""
        found = self._dense.get(tensor, self.file.constant(tensor))
        if found is None:
            msg = f"tensor {tensor} should have weights"
            raise CheckpointUnreadable(msg)
        return found

    def _given(self, tensor: int) -> str | NDArray[Any]:
        """Return what a tensor is in the graph: a result by its name, or weights."""
        if tensor in self._names:
            return self._names[tensor]
        weights = self._weights(tensor)
        return weights.transpose(0, 3, 1, 2) if weights.ndim == 4 else weights

    def _add(self, op: str, operator: Operator) -> None:
        self.graph.node(op, *(self._given(tensor) for tensor in operator.inputs))

    def _activate(self, kind: int) -> None:
        if kind == tflite.ActivationFunctionType.RELU:
            self.graph.add("Relu")
        elif kind == tflite.ActivationFunctionType.RELU6:
            self.graph.add("Clip", np.array(0.0), np.array(6.0))
        elif kind != tflite.ActivationFunctionType.NONE:
            msg = f"the activation {kind} of TensorFlow Lite is not supported"
            raise CheckpointUnreadable(msg)

    def _convolve(self, operator: Operator) -> None:
        """Kernels are (out, h, w, in), those of a single channel each (1, h, w, out)."""
        options = operator.options(_OPTIONS[operator.name])
        single = operator.name == "DEPTHWISE_CONV_2D"
        kernel = self._weights(operator.inputs[1]).transpose((3, 0, 1, 2) if single else (0, 3, 1, 2))
        size = self.file.shape(operator.inputs[0])
        strides, steps = (options.StrideH(), options.StrideW()), (options.DilationHFactor(), options.DilationWFactor())
        spans = [(side - 1) * step + 1 for side, step in zip(kernel.shape[2:], steps, strict=True)]
        self.graph.node(
            "Conv",
            self._given(operator.inputs[0]),
            kernel,
            *(self._weights(tensor) for tensor in operator.inputs[2:] if tensor >= 0),
            strides=list(strides),
            dilations=list(steps),
            group=size[3] if single else 1,
            pads=_pads(options.Padding(), size[1:3], spans, strides),
        )

    def _enlarge(self, operator: Operator) -> None:
        """MediaPipe's transposed convolution without overlap: its stride is the side of its kernel."""
        features, kernel, bias = operator.inputs
        kernels = self._weights(kernel).transpose(3, 0, 1, 2)
        side = list(kernels.shape[2:])
        self.graph.node("ConvTranspose", self._given(features), kernels, self._weights(bias), strides=side)

    def _prelu(self, operator: Operator) -> None:
        """Append a leaky rectifier with a slope for each channel as slope · x + (1 - slope) · max(x, 0).

        ONNX Runtime has no fast PRelu beside fast convolutions, between which it would reorder every feature twice:
        the mesh takes 5.5 ms with it and 2.1 ms so.
        """
        x = self._given(operator.inputs[0])
        slopes = self._weights(operator.inputs[1]).reshape(-1, 1, 1, 1)
        sloped = self.graph.node("Conv", x, slopes, group=len(slopes))
        positive = self.graph.node("Relu", x)
        self.graph.node("Add", self.graph.node("Conv", positive, 1 - slopes, group=len(slopes)), sloped)

    def _pool(self, operator: Operator) -> None:
        options = operator.options(tflite.Pool2DOptions)
        kernel, strides = (options.FilterHeight(), options.FilterWidth()), (options.StrideH(), options.StrideW())
        self.graph.node(
            "MaxPool" if operator.name == "MAX_POOL_2D" else "AveragePool",
            self._given(operator.inputs[0]),
            kernel_shape=list(kernel),
            strides=list(strides),
            pads=_pads(options.Padding(), self.file.shape(operator.inputs[0])[1:3], kernel, strides),
        )

    def _pad(self, operator: Operator) -> None:
        """Append zeros around the features; channels by a convolution, which needs no reordering (see `_prelu`)."""
        before_and_after = self._weights(operator.inputs[1])[[0, 3, 1, 2]].T
        features = self._given(operator.inputs[0])
        (_, before, *_), (_, after, *_) = before_and_after.tolist()
        if before_and_after.sum() == before + after:
            channels = self.file.shape(operator.inputs[0])[3]
            same = np.eye(before + channels + after)[:, before : before + channels]
            self.graph.node("Conv", features, same[..., None, None])
        else:
            self.graph.node("Pad", features, before_and_after.ravel())

    def _reshape(self, operator: Operator) -> None:
        before, after = self.file.shape(operator.inputs[0]), self.file.shape(operator.outputs[0])
        x = self._given(operator.inputs[0])
        if len(before) == 4 and before[1] * before[2] > 1:
            x = self.graph.node("Transpose", x, perm=[0, 2, 3, 1])
        self.graph.node("Reshape", x, np.array(after))
        if len(after) == 4:
            self.graph.add("Transpose", perm=[0, 3, 1, 2])

    def _whole(self, operator: Operator) -> None:
        if self.file.shape(operator.inputs[0]) != self.file.shape(operator.outputs[0]):
            msg = "slices of TensorFlow Lite are not supported"
            raise CheckpointUnreadable(msg)
        self._add("Identity", Operator("", operator.inputs[:1], (), None, {}))

    def _concatenate(self, operator: Operator) -> None:
        axis = operator.options(tflite.ConcatenationOptions).Axis()
        rank = len(self.file.shape(operator.outputs[0]))
        places = (0, 2, 3, 1) if rank == 4 else tuple(range(rank))
        self.graph.node("Concat", *(self._given(tensor) for tensor in operator.inputs), axis=places[axis])

    def _resize(self, operator: Operator) -> None:
        options = operator.options(tflite.ResizeBilinearOptions)
        mode = _RESIZE[int(options.AlignCorners()), int(options.HalfPixelCenters())]
        _, height, width, channels = self.file.shape(operator.outputs[0])
        size = np.array([1, channels, height, width])
        x = self._given(operator.inputs[0])
        self.graph.node("Resize", x, "", "", size, mode="linear", coordinate_transformation_mode=mode)

    def _spread(self, operator: Operator) -> None:
        block = operator.options(tflite.DepthToSpaceOptions).BlockSize()
        self.graph.node("DepthToSpace", self._given(operator.inputs[0]), blocksize=block, mode="DCR")

    def _transform_around(self, operator: Operator) -> None:
        self.crops.append(operator.custom)
        attention_operators.transform_around(self.graph, self._names[operator.inputs[0]], operator.custom)

    def _crop(self, operator: Operator) -> None:
        features, transform = (self._names[tensor] for tensor in operator.inputs)
        _, height, width, _ = self.file.shape(operator.inputs[0])
        _, rows, columns, _ = self.file.shape(operator.outputs[0])
        attention_operators.crop(self.graph, features, transform, (height, width), (rows, columns))

    def _transform(self, operator: Operator) -> None:
        attention_operators.transformed(self.graph, *(self._names[tensor] for tensor in operator.inputs))


def _pads(padding: int, size: Sequence[int], kernel: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Padding before and after, of the height and the width; TensorFlow's "same" has the odd pixel at the end."""
    if padding == tflite.Padding.VALID:
        return [0, 0, 0, 0]
    total = [
        max((math.ceil(side / stride) - 1) * stride + span - side, 0)
        for side, span, stride in zip(size, kernel, strides, strict=True)
    ]
    return [each // 2 for each in total] + [each - each // 2 for each in total]
