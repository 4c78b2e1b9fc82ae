"""Weights of ME-rPPG, from open-rppg's HDF5 files or from its authors' ONNX file, by one set of names."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

#: Weights (float64) by a name.
Weight = Callable[[str], NDArray[np.float64]]
_Named = Iterator[tuple[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class MeRppgWeights:
    """Weights by the names that they have in open-rppg's files, which are Keras's.

    Kernels are (time, height, width, in, out), (taps, 1, channels) or (in, out).

    Attributes:
        arrays: all weights.
        epsilon: added to the variance in the normalisation over time.
    """

    arrays: Mapping[str, NDArray[np.float64]]
    epsilon: float

    def block(self, block: int, name: str) -> NDArray[np.float64]:
        """Weights of a block, 0 to 3."""
        return self.arrays[f"layers/sequential/layers/ssc_block{_suffix(block)}/{name}"]

    def layer(self, block: int, layer: int) -> Weight:
        """Weights of a layer, 0 or 1, of a block."""
        return lambda name: self.block(block, f"ssc/layers/ss_conv{_suffix(layer)}/{name}")

    def head(self, part: int) -> Weight:
        """Weights of a state-space model, 0 or 1, behind the blocks."""
        return lambda name: self.arrays[f"head/layers/mamba2{_suffix(part)}/{name}"]

    @property
    def projection(self) -> NDArray[np.float64]:
        """Dense layer (in, out) behind the blocks."""
        return self.arrays["layers/sequential_1/layers/dense/vars/0"]

    @property
    def dense(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Last dense layer: weights (in, 1) and bias (1,)."""
        return self.arrays["head/layers/dense/vars/0"], self.arrays["head/layers/dense/vars/1"]


def read_weights(path: Path) -> MeRppgWeights:
    """Read the weights of open-rppg (`.h5`) or of the authors' demonstration (`.onnx`).

    Raises:
        KeyError: the file has no weights of ME-rPPG.
        OSError: the file is not HDF5.
    """
    if path.suffix == ".onnx":
        return MeRppgWeights(dict(_from_onnx(path)), epsilon=1e-6)
    arrays: dict[str, NDArray[np.float64]] = {}
    with h5py.File(path, "r") as file:

        def keep(name: str, found: object) -> None:
            if isinstance(found, h5py.Dataset):
                arrays[name] = np.asarray(found[()], np.float64)

        file.visititems(keep)
    return MeRppgWeights(arrays, epsilon=2e-6)


def _suffix(number: int) -> str:
    """Ending of the name of the layer of that number among layers of one kind."""
    return f"_{number}" if number else ""


#: What stands before the names of weights in the ONNX file.
_PREFIX: Final = "_torch_params.infinite_pulse/"


def _from_onnx(path: Path) -> _Named:
    """Weights of the authors' ONNX file by Keras's names.

    Dense layers kept their names there, numbered in the order of their making; the others have numbers in the order of
    their use: kernels (out, in, 1, height, width) or (channels, 1, taps), biases, and D of the state-space models.

    Raises:
        KeyError: the file has no weights of ME-rPPG.
    """
    named: dict[str, NDArray[np.float64]] = {}
    numbered: dict[int, NDArray[np.float64]] = {}
    for found in onnx.load(path).graph.initializer:
        weights = numpy_helper.to_array(found).astype(np.float64)
        if found.name.startswith("onnx::"):
            numbered[int(found.name.rpartition("_")[2])] = weights
        else:
            named[found.name.partition(_PREFIX)[2]] = weights
    used = iter([numbered[number] for number in sorted(numbered)])

    def next_one() -> NDArray[np.float64]:
        found = next(used, None)
        if found is None:
            raise _missing(path)
        return found

    def one(source: str, pattern: str) -> NDArray[np.float64]:
        found = _find(named, source, pattern)
        if len(found) != 1:
            raise _missing(path)
        return found[0]

    def convolution(name: str) -> _Named:
        yield f"{name}/vars/0", next_one().transpose(2, 3, 4, 1, 0)
        yield f"{name}/vars/1", next_one().ravel()

    def state_space(source: str, name: str) -> _Named:
        for part, array in zip(("in_proj", "out_proj"), _find(named, source, r"dense_\d+/kernel"), strict=False):
            yield f"{name}/{part}/vars/0", array
        for index, array in enumerate(_find(named, source, r"variable(_\d+)?")):
            yield f"{name}/vars/{index}", array
        yield f"{name}/norm/vars/0", one(source, r"rms_norm(_\d+)?/variable_\d+")
        yield f"{name}/conv1d/vars/0", next_one().transpose(2, 1, 0)
        yield f"{name}/conv1d/vars/1", next_one().ravel()
        yield f"{name}/vars/2", next_one()

    for block in range(4):
        source = f"sequential_4/ssc_block{_suffix(block)}/"
        name = f"layers/sequential/layers/ssc_block{_suffix(block)}"
        yield f"{name}/in_proj/vars/0", one(source, r"dense(_\d+)?/kernel")
        for layer in range(2):
            number = 2 * block + layer
            inner = f"{source}sequential{_suffix(block)}/ss_conv{_suffix(number)}/"
            part = f"{name}/ssc/layers/ss_conv{_suffix(layer)}"
            yield from convolution(f"{part}/conv1/layers/conv3d")
            yield f"{part}/conv1/layers/dense/vars/0", one(inner, r"sequential_\d+/dense_\d+/kernel")
            yield f"{part}/conv1/layers/dense/vars/1", one(inner, r"sequential_\d+/dense_\d+/bias")
            yield from state_space(f"{inner}mamba2_{number + 2}/", f"{part}/mamba")
            yield f"{part}/proj/vars/0", one(inner, r"dense_\d+/kernel")
            yield from convolution(f"{part}/conv2")
        yield from convolution(f"{name}/ds")
    yield "layers/sequential_1/layers/dense/vars/0", one("sequential_5/", r"dense_\d+/kernel")
    for head in range(2):
        yield from state_space(f"sequential_6/mamba2{_suffix(head)}/", f"head/layers/mamba2{_suffix(head)}")
    yield "head/layers/dense/vars/0", one("sequential_6/", r"dense_\d+/kernel")
    yield "head/layers/dense/vars/1", one("sequential_6/", r"dense_\d+/bias")


def _find(named: Mapping[str, NDArray[np.float64]], source: str, pattern: str) -> list[NDArray[np.float64]]:
    """Weights whose names are `source` and then `pattern`, by the numbers in their names."""
    names = [name for name in named if name.startswith(source) and re.fullmatch(pattern, name[len(source) :])]

    def numbers(name: str) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", name[len(source) :])]

    return [named[name] for name in sorted(names, key=numbers)]


def _missing(path: Path) -> KeyError:
    return KeyError(f"{path} has no weights of ME-rPPG")
