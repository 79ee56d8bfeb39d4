"""Files of torch.save, read as NumPy arrays: nothing in them is executed, and PyTorch is not needed.

A file is a pickle that describes tensors, beside their numbers: in the older form pickles followed by storages, in the
newer a zip of `data.pkl` and `data/<key>` (https://docs.pytorch.org/docs/stable/notes/serialization.html).
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}

Array = NDArray[Any]


@dataclass
class _Storage:
    """Numbers that tensors look at; the older form brings them after the tensors."""

    dtype: np.dtype[Any]
    length: int
    numbers: Array | None = field(default=None)


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> Array:
        """Return a copy in the order of its indices; strides count numbers, and none needs to be the last's 1."""
        numbers = self.storage.numbers
        if numbers is None:
            raise ValueError("the file lacks the numbers of a tensor")
        if 0 in self.shape:
            return np.zeros(self.shape, dtype=numbers.dtype)
        last = self.offset + sum((size - 1) * step for size, step in zip(self.shape, self.strides, strict=True))
        if min(self.strides, default=0) < 0 or self.offset < 0 or last >= numbers.size:
            raise ValueError("a tensor reaches beyond its numbers")
        strides = tuple(step * numbers.itemsize for step in self.strides)
        view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides)
        return np.ascontiguousarray(view).reshape(self.shape)


class _TensorsOnly(pickle.Unpickler):
    """Builds tensors and the dictionaries that hold them; raises ValueError for anything else."""

    def __init__(self, file: BinaryIO, storage: Callable[[str, str, int], _Storage]) -> None:
        super().__init__(file, encoding="utf-8")
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name of the file."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) in (("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor")):
            return _rebuilt
        if module == "torch" and name in _DTYPES:
            return name
        raise ValueError(f"the file asks for {module}.{name}, which is no tensor")

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the storage of that key."""
        kind, dtype, key, _place, length, *_ = pid
        if kind != "storage" or dtype not in _DTYPES:
            raise ValueError("the file holds something other than numbers")
        return self._storage(dtype, str(key), int(length))


def _rebuilt(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def read_tensors(path: Path) -> dict[str, Array]:
    """Return the named tensors of a state dictionary; raises ValueError where the file is none, OSError unread."""
    try:
        with path.open("rb") as file:
            found = _read_zip(file) if zipfile.is_zipfile(file) else _read_legacy(file)
            if not isinstance(found, dict) or not all(isinstance(value, _Tensor) for value in found.values()):
                raise ValueError("it holds something other than named tensors")
            return {str(name): tensor.array() for name, tensor in found.items()}
    except (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path.name} is not a file of torch.save: {error}") from error


def _read_zip(file: BinaryIO) -> Any:
    with zipfile.ZipFile(file) as archive:
        described = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        folder = described.removesuffix("data.pkl")
        storages: dict[str, _Storage] = {}

        def storage(dtype: str, key: str, length: int) -> _Storage:
            if key not in storages:
                kind = np.dtype(_DTYPES[dtype])
                numbers = np.frombuffer(archive.read(f"{folder}data/{key}"), dtype=kind)
                storages[key] = _Storage(kind, length, numbers)
            return storages[key]

        return _TensorsOnly(io.BytesIO(archive.read(described)), storage).load()


def _read_legacy(file: BinaryIO) -> Any:
    file.seek(0)
    storages: dict[str, _Storage] = {}

    def storage(dtype: str, key: str, length: int) -> _Storage:
        return storages.setdefault(key, _Storage(np.dtype(_DTYPES[dtype]), length))

    def load() -> Any:
        return _TensorsOnly(file, storage).load()

    if load() != _LEGACY_MAGIC or load() != _LEGACY_PROTOCOL:
        raise ValueError("the file does not begin as those of torch.save do")
    if not load().get("little_endian"):
        raise ValueError("the numbers are big-endian")
    found = load()
    for key in load():
        length = int.from_bytes(file.read(8), "little")
        kept = storages[key]
        numbers = np.frombuffer(file.read(length * kept.dtype.itemsize), dtype=kept.dtype)
        if numbers.size != length or length != kept.length:
            raise ValueError("the file ends in the middle of its numbers")
        kept.numbers = numbers
    return found
