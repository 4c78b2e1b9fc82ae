"""Read the operators and weights of a TensorFlow Lite file."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tflite
from flatbuffers import flexbuffers
from numpy.typing import NDArray

from workers.models.checkpoint import CheckpointUnreadable

#: Element types of weights.
_TYPES: Final = {
    tflite.TensorType.FLOAT32: np.dtype("<f4"),
    tflite.TensorType.FLOAT16: np.dtype("<f2"),
    tflite.TensorType.INT32: np.dtype("<i4"),
}
_INDEX_VECTORS: Final = {1: tflite.Int32Vector, 2: tflite.Uint16Vector, 3: tflite.Uint8Vector}
_OPERATORS: Final = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}


@dataclass(frozen=True)
class Operator:
    """One operator of a network: its name, the numbers of its tensors, and its options.

    Operators that are not TensorFlow Lite's own have the name that their authors gave them; `custom` are their options.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    table: Any
    custom: dict[str, Any]

    def options(self, kind: Any) -> Any:  # noqa: ANN401  (the package has no types)
        """Return the options as `kind`, a class of the package `tflite`."""
        read = kind()
        read.Init(self.table.Bytes, self.table.Pos)
        return read


class TfliteFile:
    """The first network of a TensorFlow Lite file. Tensors are numbered; those with weights are constants.

    Raises:
        CheckpointUnreadable: the data are not such a file.
    """

    def __init__(self, data: bytes) -> None:
        if not tflite.Model.ModelBufferHasIdentifier(data, 0):
            msg = "the file is not one of TensorFlow Lite"
            raise CheckpointUnreadable(msg)
        self._model = tflite.Model.GetRootAsModel(data, 0)
        self._network = self._model.Subgraphs(0)

    @property
    def inputs(self) -> list[int]:
        """Numbers of the tensors that are given."""
        return [int(number) for number in self._network.InputsAsNumpy()]

    @property
    def outputs(self) -> dict[str, int]:
        """Numbers of the tensors that are the result, by their names."""
        numbers = [int(number) for number in self._network.OutputsAsNumpy()]
        return {self._network.Tensors(number).Name().decode(): number for number in numbers}

    def shape(self, tensor: int) -> list[int]:
        """Shape of a tensor."""
        found = self._network.Tensors(tensor)
        return [found.Shape(axis) for axis in range(found.ShapeLength())]

    def constant(self, tensor: int) -> NDArray[Any] | None:
        """Weights of a tensor, dense; None where it is computed.

        Raises:
            CheckpointUnreadable: their type is not supported.
        """
        found = self._network.Tensors(tensor)
        buffer = self._model.Buffers(found.Buffer())
        if not buffer.DataLength():
            return None
        if found.Type() not in _TYPES:
            msg = f"tensor {tensor} has weights of a type that is not supported ({found.Type()})"
            raise CheckpointUnreadable(msg)
        values = buffer.DataAsNumpy().view(_TYPES[found.Type()])
        sparsity = found.Sparsity()
        return values.reshape(self.shape(tensor)) if sparsity is None else _dense(values, self.shape(tensor), sparsity)

    def operators(self) -> Iterator[Operator]:
        """Yield the operators in the order in which they run."""
        for index in range(self._network.OperatorsLength()):
            found = self._network.Operators(index)
            kind = self._model.OperatorCodes(found.OpcodeIndex())
            name = _OPERATORS[max(kind.DeprecatedBuiltinCode(), kind.BuiltinCode())]
            custom: dict[str, Any] = {}
            if name == "CUSTOM":
                name = kind.CustomCode().decode()
                data = found.CustomOptionsAsNumpy().tobytes() if found.CustomOptionsLength() else b""
                read = flexbuffers.Loads(data) if name == "Landmarks2TransformMatrix" else {}
                custom = read if isinstance(read, dict) else {}
            yield Operator(
                name,
                tuple(int(number) for number in found.InputsAsNumpy()),
                tuple(int(number) for number in found.OutputsAsNumpy()),
                found.BuiltinOptions(),
                custom,
            )


def _dense(values: NDArray[Any], shape: list[int], sparsity: Any) -> NDArray[Any]:  # noqa: ANN401  (the package has no types)
    """Return a tensor (`shape`) whose weights other than zero are `values`, in blocks.

    The axes of the blocks follow the tensor's own. An axis is stored whole, or as the indices of what it holds, a
    segment for each entry of the axis before it: the format of Kjolstad et al. 2017, "The tensor algebra compiler".
    """
    rank = len(shape)
    axes = [sparsity.TraversalOrder(index) for index in range(sparsity.TraversalOrderLength())]
    blocked = [sparsity.BlockMap(index) for index in range(sparsity.BlockMapLength())]
    sizes = [1] * rank
    entries: list[tuple[tuple[int, ...], int]] = [((), 0)]
    for depth in range(sparsity.DimMetadataLength()):
        axis = sparsity.DimMetadata(depth)
        if axis.Format() == tflite.DimensionType.DENSE:
            size = axis.DenseSize()
            entries = [((*at, one), place * size + one) for at, place in entries for one in range(size)]
            if depth >= rank:
                sizes[blocked[depth - rank]] = size
        else:
            starts = _indices(axis.ArraySegmentsType(), axis.ArraySegments())
            held = _indices(axis.ArrayIndicesType(), axis.ArrayIndices())
            entries = [
                ((*at, held[next_]), next_)
                for at, place in entries
                for next_ in range(starts[place], starts[place + 1])
            ]
    dense = np.zeros(shape, values.dtype)
    for at, place in entries:
        target = [0] * rank
        for axis, one in zip(axes, at, strict=True):
            if axis < rank:
                target[axis] += one * sizes[axis]
            else:
                target[blocked[axis - rank]] += one
        dense[tuple(target)] = values[place]
    return dense


def _indices(kind: int, table: Any) -> list[int]:  # noqa: ANN401  (the package has no types)
    read = _INDEX_VECTORS[kind]()
    read.Init(table.Bytes, table.Pos)
    return [int(index) for index in read.ValuesAsNumpy()]
