"""An ONNX graph, written node by node."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.float64] | NDArray[np.int64]
Attribute = int | str | list[int] | tuple[int, ...]


class Graph:
    """Nodes and weights in the order in which they are added; `x` is the name of the last result, the next node's
    input.
    """

    def __init__(self, x: str) -> None:
        self.x = x
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def add(self, op: str, *weights: Array, **attributes: Attribute) -> str:
        """A node on the last result, with weights of its own (float32, or int64 where they are integers)."""
        out = f"{op.lower()}{len(self._nodes)}"
        names = [f"{out}_{part}" for part in range(len(weights))]
        for name, value in zip(names, weights, strict=True):
            kind = np.float32 if value.dtype.kind == "f" else np.int64
            self._weights.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=kind), name))
        return self._append(op, [self.x, *names], out, attributes)

    def join(self, op: str, *others: str) -> str:
        """A node on the last result and on other results."""
        return self._append(op, [self.x, *others], f"{op.lower()}{len(self._nodes)}", {})

    def concatenate(self, axis: int, *results: str) -> str:
        """Results side by side along an axis."""
        return self._append("Concat", list(results), f"concat{len(self._nodes)}", {"axis": axis})

    def serialise(self, name: str, inputs: Sequence[Any], shape: Sequence[int | str] = ("samples",)) -> bytes:
        """The checked model, its output the last result, float32 of `shape`; the same nodes give the same bytes."""
        output = helper.make_tensor_value_info(self.x, TensorProto.FLOAT, list(shape))
        model = helper.make_model(
            helper.make_graph(self._nodes, name, list(inputs), [output], self._weights),
            opset_imports=[helper.make_opsetid("", 17)],
            ir_version=9,
        )
        onnx.checker.check_model(model, full_check=True)
        serialised: bytes = model.SerializeToString(deterministic=True)
        return serialised

    def _append(self, op: str, inputs: list[str], out: str, attributes: Mapping[str, Attribute]) -> str:
        node = helper.make_node(op, inputs, [out])
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self._nodes.append(node)
        self.x = out
        return out
