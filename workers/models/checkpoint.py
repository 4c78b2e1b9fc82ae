"""PyTorch checkpoints, read without PyTorch and without executing anything in them.

A `.pth` file is a pickle that refers to tensors, with their numbers in a zip archive or (before PyTorch 1.6) after it.
The unpickler accepts tensors and ordered dictionaries only.
"""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Storage classes that a state dictionary of weights holds, as numpy types.
_STORAGES: Final[Mapping[str, type[np.generic]]] = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
#: First pickle of a file from before PyTorch 1.6.
_OLD_MAGIC: Final = 0x1950A86A20F9469CFC6C


class CheckpointUnreadable(Exception):  # noqa: N818  (named for what happened)
    """The file is not a checkpoint of plain tensors, or not of the expected network; the message is the reason."""


class _Storage(NamedTuple):
    key: str
    kind: type[np.generic]


@dataclass(frozen=True)
class _Tensor:
    """A tensor before its numbers are read; strides count numbers, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, numbers: Mapping[str, bytes]) -> NDArray[Any]:
        flat = np.frombuffer(numbers[self.storage.key], dtype=self.storage.kind)
        pairs = zip(self.shape, self.strides, strict=True)
        reach = self.offset + sum((size - 1) * stride for size, stride in pairs) + 1
        if min((self.offset, *self.shape, *self.strides), default=0) < 0 or reach > len(flat):
            raise ValueError("a tensor reaches beyond its numbers")
        steps = tuple(stride * flat.itemsize for stride in self.strides)
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, steps, writeable=False).copy()


def read_checkpoint(path: Path) -> dict[str, NDArray[Any]]:
    """Read every tensor of a state dictionary by name, without the prefix `module.` of data-parallel training.

    Raises:
        CheckpointUnreadable: the file is not a state dictionary of tensors.
    """
    try:
        found, numbers = _from_archive(path) if zipfile.is_zipfile(path) else _from_old_file(path)
        if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
            found = found["state_dict"]
        if not isinstance(found, dict) or not all(isinstance(value, _Tensor) for value in found.values()):
            raise CheckpointUnreadable(f"{path.name} is no state dictionary of tensors")
        return {str(name).removeprefix("module."): tensor.array(numbers) for name, tensor in found.items()}
    except (zipfile.BadZipFile, pickle.UnpicklingError, struct.error, KeyError, EOFError, ValueError) as error:
        raise CheckpointUnreadable(f"{path.name}: {error}") from error


def _from_archive(path: Path) -> tuple[Any, dict[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise CheckpointUnreadable(f"{path.name} holds {len(pickles)} pickles, one is expected")
        data = pickles[0].removesuffix("data.pkl") + "data/"
        found = _Reader(io.BytesIO(archive.read(pickles[0]))).load()
        members = [name for name in archive.namelist() if name.startswith(data)]
        return found, {name.removeprefix(data): archive.read(name) for name in members}


def _from_old_file(path: Path) -> tuple[Any, dict[str, bytes]]:
    """Magic, version, machine, object and keys, each a pickle; then for each key a count and its numbers."""
    with path.open("rb") as file:
        if _Reader(file).load() != _OLD_MAGIC:
            raise CheckpointUnreadable(f"{path.name} is neither an archive nor an old checkpoint")
        _Reader(file).load()
        _Reader(file).load()
        reader = _Reader(file)
        found = reader.load()
        numbers = {}
        for key in _Reader(file).load():
            (count,) = struct.unpack("<q", file.read(8))
            numbers[str(key)] = file.read(count * np.dtype(reader.kinds[str(key)]).itemsize)
        return found, numbers


class _Reader(pickle.Unpickler):
    def __init__(self, file: Any) -> None:  # noqa: ANN401  (whatever can be read)
        super().__init__(file)
        self.kinds: dict[str, type[np.generic]] = {}

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401  (pickle's own signature)
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"names {module}.{name}, which is no tensor")

    def persistent_load(self, pid: Any) -> _Storage:  # noqa: ANN401  (pickle's own signature)
        _, kind, key, *_ = pid
        self.kinds[str(key)] = kind
        return _Storage(str(key), kind)


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))
