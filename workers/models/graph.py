"""Builder of ONNX graphs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

#: Weights of a node: float32, or int64 for integers, in the file.
Weights = NDArray[Any]
#: Values of a node's attribute.
Attribute = int | str | list[int] | tuple[int, ...]


class Graph:
    """Nodes and weights in the order in which they are added.

    `x` is the name of the last result, which is the input of the next node.
    """

    def __init__(self, x: str) -> None:
        self.x = x
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def add(self, op: str, *weights: Weights, **attributes: Attribute) -> str:
        """Append a node on the last result, with weights of its own, and return the name of its result."""
        out = f"{op.lower()}{len(self._nodes)}"
        names = [self._store(f"{out}_{part}", value) for part, value in enumerate(weights)]
        return self._append(op, [self.x, *names], out, attributes)

    def join(self, op: str, *others: str) -> str:
        """Append a node on the last result and on other results, and return the name of its result."""
        return self.node(op, self.x, *others)

    def node(self, op: str, *inputs: str | Weights, **attributes: Attribute) -> str:
        """Append a node on results, by name, and on weights, in the node's order; return the name of its result."""
        out = f"{op.lower()}{len(self._nodes)}"
        names = [
            given if isinstance(given, str) else self._store(f"{out}_{part}", given)
            for part, given in enumerate(inputs)
        ]
        return self._append(op, names, out, attributes)

    def concatenate(self, axis: int, *results: str) -> str:
        """Append a node that concatenates results along an axis, and return the name of its result."""
        return self.node("Concat", *results, axis=axis)

    def serialise(self, name: str, inputs: Sequence[Any], shape: Sequence[int | str] = ("samples",)) -> bytes:
        """Check and serialise the model, whose output is the last result, float32 of `shape`; deterministic.

        Raises:
            onnx.checker.ValidationError: the graph is invalid.
        """
        output = helper.make_tensor_value_info(self.x, TensorProto.FLOAT, list(shape))
        model = helper.make_model(
            helper.make_graph(self._nodes, name, list(inputs), [output], self._weights),
            opset_imports=[helper.make_opsetid("", 17)],
            ir_version=9,
        )
        onnx.checker.check_model(model, full_check=True)
        serialised: bytes = model.SerializeToString(deterministic=True)
        return serialised

    def _store(self, name: str, value: Weights) -> str:
        kind = np.float32 if value.dtype.kind == "f" else np.int64
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=kind), name))
        return name

    def _append(self, op: str, inputs: list[str], out: str, attributes: Mapping[str, Attribute]) -> str:
        node = helper.make_node(op, inputs, [out])
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self._nodes.append(node)
        self.x = out
        return out
