"""Files of torch.save without PyTorch: both forms, strides, and nothing executed."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shelflist_vision.torch_files import read_tensors

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class Named:
    """Stands for a global name of PyTorch in a pickle."""

    def __init__(self, module: str, name: str) -> None:
        self.text = f"c{module}\n{name}\n".encode()


class Call:
    """Stands for a call of a name."""

    def __init__(self, name: Named, *arguments: Any) -> None:
        self.name, self.arguments = name, arguments


class Stored:
    """Stands for a storage."""

    def __init__(self, kind: str, key: str, length: int) -> None:
        self.pid = ("storage", Named("torch", kind), key, "cpu", length)


def pickled(value: Any) -> bytes:
    """Return a pickle of protocol 0 and 2 opcodes, written by hand: no class of PyTorch is there to be pickled."""
    return b"\x80\x02" + _opcodes(value) + b"."


def _opcodes(value: Any) -> bytes:
    if isinstance(value, Named):
        return value.text
    if isinstance(value, Call):
        return _opcodes(value.name) + _opcodes(value.arguments) + b"R"
    if isinstance(value, Stored):
        return _opcodes(value.pid) + b"Q"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_opcodes, value)) + b"t"
    if isinstance(value, dict):
        return b"}(" + b"".join(_opcodes(key) + _opcodes(item) for key, item in value.items()) + b"u"
    return pickle.dumps(value, 2)[2:-1]


def tensor(storage: Stored, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> Call:
    rebuilt, hooks = Named("torch._utils", "_rebuild_tensor_v2"), Call(Named("collections", "OrderedDict"))
    return Call(rebuilt, storage, offset, shape, strides, False, hooks)


def legacy(path: Path, tensors: Any, storages: dict[str, np.ndarray]) -> Path:
    """Write the older form."""
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    heads = [pickle.dumps(value, 2) for value in (MAGIC, PROTOCOL, system)]
    data = b"".join(struct.pack("<q", numbers.size) + numbers.tobytes() for numbers in storages.values())
    path.write_bytes(b"".join(heads) + pickled(tensors) + pickle.dumps(list(storages), 2) + data)
    return path


def zipped(path: Path, tensors: Any, storages: dict[str, np.ndarray]) -> Path:
    """Write the newer form."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/data.pkl", pickled(tensors))
        for key, numbers in storages.items():
            archive.writestr(f"weights/data/{key}", numbers.tobytes())
    return path


FLOATS = Stored("FloatStorage", "0", 24)
NUMBERS = np.arange(24, dtype=np.float32)


@pytest.mark.parametrize("write", [legacy, zipped])
def test_tensors_are_read_by_their_strides(write: Any, tmp_path: Path) -> None:
    path = write(
        tmp_path / "weights.pth",
        {
            "plain": tensor(FLOATS, (4, 6), (6, 1)),
            "turned": tensor(FLOATS, (6, 4), (1, 6)),
            "part": tensor(FLOATS, (2, 2), (6, 2), offset=7),
            "single": tensor(FLOATS, (), (), offset=5),
            "count": tensor(Stored("LongStorage", "1", 1), (1,), (1,)),
        },
        {"0": NUMBERS, "1": np.array([2**40], dtype=np.int64)},
    )
    found = read_tensors(path)
    square = NUMBERS.reshape(4, 6)
    assert found["plain"].tolist() == square.tolist()
    assert found["turned"].tolist() == square.T.tolist()
    assert found["part"].tolist() == [[7, 9], [13, 15]]
    assert found["single"].shape == () and found["single"] == 5
    assert found["count"].tolist() == [2**40]
    assert all(array.flags.c_contiguous for array in found.values())


@pytest.mark.parametrize("write", [legacy, zipped])
@pytest.mark.parametrize(
    "name",
    [Named("os", "system"), Named("builtins", "eval"), Named("torch", "load"), Named("collections", "Counter")],
    ids=lambda name: name.text.decode().split()[1],
)
def test_names_that_are_no_tensors_are_never_called(write: Any, name: Named, tmp_path: Path) -> None:
    path = write(tmp_path / "weights.pth", {"weight": Call(name, str(tmp_path / "touched"))}, {})
    with pytest.raises(ValueError, match="which is no tensor"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"), [((5, 6), (6, 1), 0), ((24,), (1,), 1), ((2,), (-1,), 1), ((2,), (1,), -1)]
)
def test_a_tensor_beyond_its_numbers_is_refused(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int, tmp_path: Path
) -> None:
    path = zipped(tmp_path / "weights.pth", {"weight": tensor(FLOATS, shape, strides, offset)}, {"0": NUMBERS})
    with pytest.raises(ValueError, match="beyond its numbers"):
        read_tensors(path)


def test_a_file_that_ends_early_is_refused(tmp_path: Path) -> None:
    path = legacy(tmp_path / "weights.pth", {"weight": tensor(FLOATS, (24,), (1,))}, {"0": NUMBERS})
    for length in (10, 40, path.stat().st_size - 100, path.stat().st_size - 4):
        (tmp_path / "short.pth").write_bytes(path.read_bytes()[:length])
        with pytest.raises(ValueError, match=r"short\.pth is not a file|in the middle|invalid load key|begin"):
            read_tensors(tmp_path / "short.pth")


def test_another_file_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"GIF89a", pickle.dumps(OrderedDict(a=1)), pickle.dumps([1, 2])):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(ValueError):
            read_tensors(tmp_path / "other")
    with zipfile.ZipFile(tmp_path / "other", "w") as archive:
        archive.writestr("data.pkl", io.BytesIO(pickle.dumps({"a": 1})).getvalue())
    with pytest.raises(ValueError, match="other than named tensors"):
        read_tensors(tmp_path / "other")
