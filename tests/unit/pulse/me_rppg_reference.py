"""ME-rPPG in plain numpy: every recurrence one frame at a time, in double precision."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from workers.models.me_rppg_weights import MeRppgWeights, Weight

Array = NDArray[np.float64]
Normalise = Callable[[Array, float], Array]


def over_a_window(maps: Array, epsilon: float) -> Array:
    """Maps (t, …) without their linear trend over t, divided by their deviation."""
    times = np.arange(len(maps))
    flat = maps.reshape(len(maps), -1)
    slope, level = np.polyfit(times, flat, 1)
    rest = flat - level - np.outer(times, slope)
    return np.asarray((rest / np.sqrt((rest**2).mean(axis=0) + epsilon)).reshape(maps.shape))


def by_moving_averages(dt: Array) -> Normalise:
    """Normalise maps (t, …) by averages with a half-life of 80 frames at 30 Hz, frame by frame."""

    def normalise(maps: Array, epsilon: float) -> Array:
        mean, variance = np.zeros(maps.shape[1:]), np.zeros(maps.shape[1:])
        rows = []
        for x, seconds in zip(maps, dt, strict=True):
            kept = 0.5 ** (seconds * 30 / 80)
            variance = (1 - kept) * (x - mean) ** 2 + kept * variance
            mean = (1 - kept) * x + kept * mean
            rows.append(3 * np.tanh((x - mean) / np.sqrt(variance + epsilon) / 3))
        return np.stack(rows)

    return normalise


def wave_of(frames: Array, weights: MeRppgWeights, normalise: Normalise) -> Array:
    """Wave (t,) of frames (t, 3, 36, 36)."""
    x = frames.transpose(0, 2, 3, 1)
    for block in range(4):
        x = first = x @ weights.block(block, "in_proj/vars/0")
        for layer in range(2):
            get = weights.layer(block, layer)
            maps = normalise(x, weights.epsilon)
            wide = _convolve(maps, get("conv1/layers/conv3d/vars/0"), get("conv1/layers/conv3d/vars/1"))
            wide = wide @ get("conv1/layers/dense/vars/0") + get("conv1/layers/dense/vars/1")
            pulse = _state_space(np.maximum(wide, 0).mean(axis=(1, 2)), partial(_inner, get))
            maps = maps + (pulse @ get("proj/vars/0"))[:, None, None]
            x = np.maximum(_convolve(maps, get("conv2/vars/0"), get("conv2/vars/1")), 0)
        x = _halve(x + first, weights.block(block, "ds/vars/0"), weights.block(block, "ds/vars/1"))
    y = x.mean(axis=(1, 2)) @ weights.projection
    for part in range(2):
        y = _state_space(y, weights.head(part))
    kernel, bias = weights.dense
    return np.asarray((y @ kernel + bias)[:, 0])


def _convolve(x: Array, kernel: Array, bias: Array) -> Array:
    """Convolution of x (t, h, w, c) by 3x3, zeros around."""
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    terms = [padded[:, i : i + height, j : j + width] @ kernel[0, i, j] for i in range(3) for j in range(3)]
    return np.asarray(sum(terms) + bias)


def _halve(x: Array, kernel: Array, bias: Array) -> Array:
    """Convolution of x (t, h, w, c) by 2x2 in steps of 2, zeros after an odd side."""
    odd = x.shape[1] % 2
    padded = np.pad(x, ((0, 0), (0, odd), (0, odd), (0, 0)))
    terms = [padded[:, i::2, j::2] @ kernel[0, i, j] for i in range(2) for j in range(2)]
    return np.asarray(sum(terms) + bias)


def _silu(x: Array) -> Array:
    return np.asarray(x / (1 + np.exp(-x)))


def _state_space(x: Array, get: Weight) -> Array:
    """Mamba-2 on x (t, c), by its recurrence."""
    heads = len(get("vars/0"))
    inner = 32 * heads
    taps = get("conv1d/vars/0")[:, 0]
    state = np.zeros((heads, 32, 128))
    seen = np.zeros((len(taps), taps.shape[1]))
    rows = []
    for row in x @ get("in_proj/vars/0"):
        gate, mixed, step = np.split(row, [inner, 2 * inner + 256])
        seen = np.concatenate((seen[1:], mixed[None]))
        values, b, c = np.split(_silu((seen * taps).sum(axis=0) + get("conv1d/vars/1")), [inner, inner + 128])
        values = values.reshape(heads, 32)
        step = np.log1p(np.exp(step + get("vars/0")))
        decay = np.exp(-step * np.exp(get("vars/1")))
        state = decay[:, None, None] * state + step[:, None, None] * values[:, :, None] * b
        y = (state @ c + get("vars/2") * values).ravel() * _silu(gate)
        rows.append(y / np.sqrt((y**2).mean() + 1e-5) * get("norm/vars/0"))
    return np.asarray(np.stack(rows) @ get("out_proj/vars/0"))


def _inner(get: Weight, name: str) -> Array:
    """Weights of a layer's state-space model."""
    return get(f"mamba/{name}")
