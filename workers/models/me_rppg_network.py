"""ME-rPPG as an ONNX graph.

Wang, Tang, Fan, Ji, Shi, Wang 2025, "Memory-efficient low-latency remote photoplethysmography through temporal-spatial
state space duality" (arXiv 2504.01774). Four blocks of two layers, each followed by a convolution that halves the
picture. A layer normalises every pixel of every feature map over time, reduces the maps to their means over space,
passes those through a state-space model (Mamba-2: Dao, Gu 2024, arXiv 2405.21060), adds its result to the maps, and
convolves them. The mean of the last maps passes through two more state-space models and a dense layer.

The authors normalise over time in two ways, and both are built here from the same weights:

- `graph_of`: over a window of about `WINDOW` frames, without its linear trend, as in training. The state of the
  state-space models passes to the next window.
- `stepwise_graph_of`: by moving averages, one frame at a time or several; the result is the same. It needs no frame of
  the future, and its waves are worse (docs/models/me_rppg.md).

The state-space models are evaluated for all frames at once, in the quadratic ("attention") form of Mamba-2, which
equals the recurrence.
"""

from math import log
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from workers.models.graph import Graph
from workers.models.me_rppg_weights import MeRppgWeights, Weight, read_weights

#: Side of the input, pixels.
SIDE: Final = 36
#: Frames of a window in training.
WINDOW: Final = 160
#: Half-life of the moving averages, seconds.
HALF_LIFE_S: Final = 160 / 30 / 2
#: Feature maps of every layer; also the channels of a head of a state-space model.
_MAPS: Final = 32
#: States of each channel of a state-space model.
_STATES: Final = 128
#: Added to the mean square in the state-space models' normalisation.
_EPSILON: Final = 1e-5
#: Divides the normalised maps: the moving averages' are limited to ±3 by 3·tanh(x/3).
_LIMIT: Final = 3.0
#: End of a slice that has none.
_END: Final = 2**31 - 1


class _Normalisation(Protocol):
    """Normalisation over time: maps (t, 32, side, side) → maps of the same shape, divided by `_LIMIT`."""

    def __call__(self, maps: str, side: int) -> str: ...


def graph_of(weights: Path) -> bytes:
    """Build the serialised network: `frames` (t, 3, 36, 36) and `state` (s,) → (t + s,), float32.

    `frames` are one window of consecutive frames at 30 Hz, RGB in [0, 1]. The output is the window's wave (t,), then
    the state (s,) for the next window; the first one starts from zeros. The result is deterministic.

    Raises:
        KeyError: the file has no weights of ME-rPPG.
        OSError: the file is not HDF5.
    """
    network = _Network(read_weights(weights))
    return network.build(_WindowNormalisation(network), [])


def stepwise_graph_of(weights: Path) -> bytes:
    """Build the causal network: `frames` (t, 3, 36, 36), `dt` (t,) and `state` (s,) → (t + s,), float32.

    `frames` are any number of consecutive frames, RGB in [0, 1]; `dt` is each one's distance from the frame before it,
    seconds. The output is the wave (t,), then the state (s,) for the next call; the first one starts from zeros.

    Raises:
        KeyError: the file has no weights of ME-rPPG.
        OSError: the file is not HDF5.
    """
    network = _Network(read_weights(weights))
    return network.build(_MovingNormalisation(network), [helper.make_tensor_value_info("dt", TensorProto.FLOAT, ["t"])])


class _Network:
    """The graph under construction, its weights, and its state: `read` cuts the old one, `write` keeps the new one."""

    def __init__(self, weights: MeRppgWeights) -> None:
        self.graph = Graph("frames")
        self.weights = weights
        self._state_size = 0
        self._written: list[str] = []

    def read(self, *shape: int) -> str:
        """Cut the next part of the state; parts are written in the order in which they are read."""
        start = self._state_size
        self._state_size += int(np.prod(shape))
        part = self.graph.node("Slice", "state", np.array([start]), np.array([self._state_size]))
        return self.graph.node("Reshape", part, np.array(shape))

    def write(self, part: str) -> None:
        """Append a part to the new state."""
        self._written.append(self.graph.node("Reshape", part, np.array([-1])))

    def cut(self, x: str, start: int, stop: int, axis: int) -> str:
        """Cut elements `start` to `stop` along an axis."""
        return self.graph.node("Slice", x, np.array([start]), np.array([stop]), np.array([axis]))

    def flatten(self, maps: str, side: int) -> str:
        """Reshape maps (t, 32, side, side) to (t, 32·side²)."""
        return self.graph.node("Reshape", maps, np.array([-1, _MAPS * side * side]))

    def unflatten(self, rows: str, side: int) -> str:
        """Reshape rows (t, 32·side²) to maps (t, 32, side, side)."""
        return self.graph.node("Reshape", rows, np.array([-1, _MAPS, side, side]))

    def build(self, normalise: _Normalisation, inputs: list[object]) -> bytes:
        """Build all layers and serialise the graph; `inputs` stand between `frames` and `state`."""
        graph, weights = self.graph, self.weights
        side = SIDE
        x = graph.node("Conv", "frames", _pointwise(weights.block(0, "in_proj/vars/0")))
        for block in range(4):
            first = x
            for layer in range(2):
                x = self._layer(x, block, layer, side, normalise)
            graph.node("Add", x, first)
            # No activation stands between the halving and the projection that follows it: one convolution does both.
            following = weights.block(block + 1, "in_proj/vars/0") if block < 3 else weights.projection
            kernel = (weights.block(block, "ds/vars/0")[0] @ following).transpose(3, 2, 0, 1)
            bias = weights.block(block, "ds/vars/1") @ following
            x = graph.add("Conv", kernel, bias, strides=[2, 2], pads=[0, 0, side % 2, side % 2])
            side = (side + 1) // 2
        x = self._mean_of(x, _MAPS)
        for part in range(2):
            x = self._state_space(x, weights.head(part))
        graph.x = x
        graph.add("MatMul", weights.dense[0])
        graph.add("Add", weights.dense[1])
        wave = graph.add("Reshape", np.array([-1]))
        graph.concatenate(0, wave, *self._written)
        frames = helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["t", 3, SIDE, SIDE])
        state = helper.make_tensor_value_info("state", TensorProto.FLOAT, [self._state_size])
        return graph.serialise("me_rppg", [frames, *inputs, state])

    def _layer(self, x: str, block: int, layer: int, side: int, normalise: _Normalisation) -> str:
        """Append a layer on maps (t, 32, side, side)."""
        graph = self.graph
        get = self.weights.layer(block, layer)
        maps = normalise(x, side)
        kernel, bias = get("conv1/layers/conv3d/vars/0")[0], get("conv1/layers/conv3d/vars/1")
        graph.node("Conv", maps, _LIMIT * kernel.transpose(3, 2, 0, 1), bias, pads=[1, 1, 1, 1])
        wide, bias = get("conv1/layers/dense/vars/0"), get("conv1/layers/dense/vars/1")
        graph.add("Conv", _pointwise(wide), bias)
        means = self._mean_of(graph.add("Relu"), wide.shape[1])
        self._state_space(means, lambda name: get(f"mamba/{name}"))
        graph.add("MatMul", get("proj/vars/0") / _LIMIT)
        pulse = graph.add("Unsqueeze", np.array([2, 3]))
        graph.node("Add", maps, pulse)
        kernel, bias = get("conv2/vars/0")[0], get("conv2/vars/1")
        graph.add("Conv", _LIMIT * kernel.transpose(3, 2, 0, 1), bias, pads=[1, 1, 1, 1])
        return graph.add("Relu")

    def _mean_of(self, maps: str, channels: int) -> str:
        """Append the mean over space: maps (t, c, h, w) → (t, c)."""
        mean = self.graph.node("GlobalAveragePool", maps)
        return self.graph.node("Reshape", mean, np.array([-1, channels]))

    def _state_space(self, x: str, get: Weight) -> str:
        """Append a state-space model (Mamba-2) on x (t, c).

        The state S of each head is (32, 128): S_t = exp(A·Δ_t)·S_{t-1} + Δ_t·x_t·B_tᵀ, y_t = S_t·C_t + D·x_t.
        """
        graph, cut = self.graph, self.cut
        heads = len(get("vars/0"))
        inner = heads * _MAPS
        projected = graph.node("MatMul", x, get("in_proj/vars/0"))
        gate = cut(projected, 0, inner, 1)
        step = cut(projected, 2 * inner + 2 * _STATES, _END, 1)
        mixed = self._causal_convolution(cut(projected, inner, 2 * inner + 2 * _STATES, 1), get)
        previous = self.read(heads, _MAPS, _STATES)
        b, c = cut(mixed, inner, inner + _STATES, 1), cut(mixed, inner + _STATES, _END, 1)
        graph.node("Reshape", cut(mixed, 0, inner, 1), np.array([-1, heads, _MAPS]))
        values = graph.add("Transpose", perm=[1, 0, 2])

        step = graph.node("Softplus", graph.node("Add", step, get("vars/0")))
        decay = graph.node("CumSum", graph.node("Mul", step, -np.exp(get("vars/1"))), np.array(0))
        decay = graph.node("Transpose", decay, perm=[1, 0])
        graph.node("Sub", graph.node("Unsqueeze", decay, np.array([2])), graph.node("Unsqueeze", decay, np.array([1])))
        # Above the diagonal stands the future, which `Trilu` removes: `Min` keeps its exponential finite.
        graph.add("Min", np.array(0.0))
        graph.add("Exp")
        kernel = graph.add("Trilu", upper=0)
        kernel = graph.node("Mul", kernel, graph.node("MatMul", c, graph.node("Transpose", b, perm=[1, 0])))
        graph.node("Transpose", step, perm=[1, 0])
        weighted = graph.node("Mul", values, graph.add("Unsqueeze", np.array([2])))
        within = graph.node("MatMul", kernel, weighted)
        before = graph.node("MatMul", c, graph.node("Transpose", previous, perm=[0, 2, 1]))
        graph.node("Exp", decay)
        before = graph.node("Mul", before, graph.add("Unsqueeze", np.array([2])))
        y = graph.node("Add", within, before)
        y = graph.node("Add", y, graph.node("Mul", values, get("vars/2")[:, :, None]))

        total = cut(decay, -1, _END, 1)
        graph.node("Exp", graph.node("Sub", total, decay))
        graph.node("Mul", weighted, graph.add("Unsqueeze", np.array([2])))
        state = graph.node("MatMul", graph.add("Transpose", perm=[0, 2, 1]), b)
        graph.node("Exp", total)
        kept = graph.node("Mul", previous, graph.add("Unsqueeze", np.array([2])))
        self.write(graph.node("Add", state, kept))

        graph.node("Transpose", y, perm=[1, 0, 2])
        y = graph.add("Reshape", np.array([-1, inner]))
        y = graph.node("Mul", y, self._silu(gate))
        square = graph.node("ReduceMean", graph.node("Mul", y, y), axes=[1], keepdims=1)
        norm = graph.node("Sqrt", graph.node("Add", square, np.array(_EPSILON)))
        return graph.node("MatMul", graph.node("Div", y, norm), get("norm/vars/0")[:, None] * get("out_proj/vars/0"))

    def _causal_convolution(self, x: str, get: Weight) -> str:
        """Append a convolution of each channel of x (t, c) over the frames up to now, and SiLU."""
        graph = self.graph
        kernel = get("conv1d/vars/0").transpose(2, 1, 0)
        channels, _, taps = kernel.shape
        frames = graph.concatenate(0, self.read(taps - 1, channels), x)
        self.write(self.cut(frames, 1 - taps, _END, 0))
        graph.node("Transpose", frames, perm=[1, 0])
        graph.add("Unsqueeze", np.array([0]))
        graph.add("Conv", kernel, get("conv1d/vars/1"), group=channels)
        graph.add("Squeeze", np.array([0]))
        return self._silu(graph.add("Transpose", perm=[1, 0]))

    def _silu(self, x: str) -> str:
        return self.graph.node("Mul", x, self.graph.node("Sigmoid", x))


class _WindowNormalisation:
    """Removes the linear trend of each value over the window, and divides by its deviation."""

    def __init__(self, network: _Network) -> None:
        graph = network.graph
        self._network = network
        # The orthonormal basis (2, t) of straight lines over the window.
        length = graph.node("Shape", "frames", start=0, end=1)
        ones = graph.node("Expand", np.array([1.0]), length)
        level = graph.node("Div", ones, graph.node("Sqrt", graph.node("ReduceSum", ones)))
        times = graph.node("CumSum", ones, np.array(0))
        times = graph.node("Sub", times, graph.node("ReduceMean", times))
        square = graph.node("ReduceSumSquare", times)
        # A single frame has no slope.
        slope = graph.node("Div", times, graph.node("Sqrt", graph.node("Max", square, np.array(1e-6))))
        graph.concatenate(0, *(graph.node("Unsqueeze", row, np.array([0])) for row in (level, slope)))
        self._lines = graph.x
        self._columns = graph.add("Transpose", perm=[1, 0])
        graph.node("Cast", length, to=TensorProto.FLOAT)
        self._per_frame = graph.node("Div", np.array([_LIMIT**2]), graph.x)

    def __call__(self, maps: str, side: int) -> str:
        """Normalise maps (t, 32, side, side)."""
        graph = self._network.graph
        rows = self._network.flatten(maps, side)
        trend = graph.node("MatMul", self._columns, graph.node("MatMul", self._lines, rows))
        rest = graph.node("Sub", rows, trend)
        square = graph.node("Mul", graph.node("ReduceSumSquare", rest, axes=[0], keepdims=1), self._per_frame)
        scale = graph.node("Sqrt", graph.node("Add", square, np.array([_LIMIT**2 * self._network.weights.epsilon])))
        return self._network.unflatten(graph.node("Mul", rest, graph.node("Reciprocal", scale)), side)


class _MovingNormalisation:
    """Subtracts each value's moving average and divides by its moving deviation, softly limited.

    With g = 1 - 2^(-dt/half-life): e_t = x_t - m_{t-1}, m_t = m_{t-1} + g·e_t, v_t = v_{t-1} + g·(e_t² - v_{t-1}), and
    the result is tanh((x_t - m_t)/(3·√(v_t + ε))), where x_t - m_t = (1 - g)·e_t. Both averages are products with
    triangular matrices of weights, for all frames at once.
    """

    def __init__(self, network: _Network) -> None:
        graph = network.graph
        self._network = network
        logs = graph.node("Mul", "dt", np.array([-log(2) / HALF_LIFE_S]))
        sums = graph.node("CumSum", graph.node("Concat", np.array([0.0]), logs, axis=0), np.array(0))
        graph.node("Sub", graph.node("Unsqueeze", sums, np.array([1])), graph.node("Unsqueeze", sums, np.array([0])))
        graph.add("Min", np.array(0.0))
        graph.add("Exp")
        decay = graph.add("Trilu", upper=0)
        kept = graph.node("Exp", logs)
        gains = graph.node("Concat", np.array([1.0]), graph.node("Sub", np.array(1.0), kept), axis=0)
        # Row t has the weights of the first average and of the frames 1 … t in the average after frame t.
        averages = graph.node("Mul", decay, gains)
        before = network.cut(averages, 0, -1, 0)
        self._errors = graph.node("Sub", graph.node("EyeLike", before, k=1), before)
        self._kept = graph.node("Unsqueeze", kept, np.array([1]))
        square = graph.node("Mul", self._kept, self._kept)
        self._scale = graph.node("Div", np.array([_LIMIT**2]), square)
        after = graph.node("Mul", network.cut(averages, 1, _END, 0), self._scale)
        epsilon = graph.node("Mul", self._scale, np.array([network.weights.epsilon]))
        self._spreads = graph.concatenate(1, after, epsilon)

    def __call__(self, maps: str, side: int) -> str:
        """Normalise maps (t, 32, side, side)."""
        graph, network = self._network.graph, self._network
        size = _MAPS * side * side
        rows = network.flatten(maps, side)
        mean, variance = network.read(1, size), network.read(1, size)
        errors = graph.node("MatMul", self._errors, graph.concatenate(0, mean, rows))
        squares = graph.node("Concat", variance, graph.node("Mul", errors, errors), np.ones((1, size)), axis=0)
        spreads = graph.node("MatMul", self._spreads, squares)

        def last(x: str) -> str:
            return network.cut(x, -1, _END, 0)

        network.write(graph.node("Sub", last(rows), graph.node("Mul", last(errors), last(self._kept))))
        spread = graph.node("Div", last(spreads), last(self._scale))
        network.write(graph.node("Sub", spread, np.array([network.weights.epsilon])))
        limited = graph.node("Tanh", graph.node("Div", errors, graph.node("Sqrt", spreads)))
        return network.unflatten(limited, side)


def _pointwise(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kernel (out, in, 1, 1) of a convolution from the weights (in, out) of a dense layer on channels."""
    return weights.T[:, :, None, None]
