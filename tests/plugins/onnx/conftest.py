"""What the tests of the predictor share: real files, and networks made of bytes."""

import struct
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def nanodet_file() -> Path:
    return ROOT / "examples" / "quickstart" / "nanodet_416.onnx"


@pytest.fixture(scope="session")
def picture() -> Callable[[str], Path]:
    """Find a picture of scikit-image's wheel without importing it."""

    def find(name: str) -> Path:
        try:
            files = metadata.files("scikit-image") or []
        except metadata.PackageNotFoundError:
            pytest.skip("scikit-image, which carries the pictures, is not installed")
        return next(Path(f.locate()) for f in files if f.as_posix() == f"skimage/data/{name}")

    return find


@pytest.fixture
def write_network(tmp_path: Path) -> Callable[..., Path]:
    """Write a network that takes a picture and always answers the same arrays."""

    def write(
        outputs: Sequence[np.ndarray],
        *,
        input_shape: Sequence[int | str] = (1, 3, 32, 32),
        names: Mapping[str, str] | None = None,
        input_type: int = 1,
        file: str = "tiny.onnx",
    ) -> Path:
        graph = [_field(2, b"tiny"), _field(11, _value("picture", input_type, input_shape))]
        for index, array in enumerate(outputs):
            graph.append(_field(5, _tensor(f"constant{index}", array)))
            node = _field(1, f"constant{index}".encode()) + _field(2, f"out{index}".encode())
            graph.append(_field(1, node + _field(4, b"Identity")))
            graph.append(_field(12, _value(f"out{index}", 1, array.shape)))
        model = _field(1, 8) + _field(7, b"".join(graph)) + _field(8, _field(2, 13))
        for key, value in (names or {}).items():
            model += _field(14, _field(1, key.encode()) + _field(2, value.encode()))
        path = tmp_path / file
        path.write_bytes(model)
        return path

    return write


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: bytes | int) -> bytes:
    """Write one field of a protobuf message; field numbers are those of onnx.proto."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _value(name: str, element: int, shape: Sequence[int | str]) -> bytes:
    dims = b"".join(
        _field(1, _field(1, dim) if isinstance(dim, int) else _field(2, dim.encode()))
        for dim in shape
    )
    tensor = _field(1, element) + _field(2, dims)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _tensor(name: str, array: np.ndarray) -> bytes:
    values = array.astype("<f4").ravel().tolist()
    dims = b"".join(_field(1, dim) for dim in array.shape)
    raw = struct.pack(f"<{len(values)}f", *values)
    return dims + _field(2, 1) + _field(8, name.encode()) + _field(9, raw)
