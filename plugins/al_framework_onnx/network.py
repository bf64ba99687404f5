"""Load an ONNX file, and say in a person's words why that did not work."""

import difflib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from al_framework.api import AlFrameworkError, ImageSize, require

_NOT_ONNX = {
    b"version https://git-lfs": "a Git LFS pointer, not the model: run git lfs pull",
    b"PK\x03\x04": "a zip archive, as PyTorch writes: export the model to ONNX",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """A loaded model with one picture as its input.

    Attributes:
        session: The ``onnxruntime.InferenceSession``.
        path: The model's file.
        digest: SHA-256 of the file, hexadecimal.
        input_size: ``(width, height)`` of the input in pixels.
        metadata: What the exporter noted.
    """

    session: Any
    path: Path
    digest: str
    input_size: ImageSize
    metadata: Mapping[str, str]

    def run(self, tensor: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """Return the outputs in the model's order."""
        entry = self.session.get_inputs()[0]
        if entry.type == "tensor(float16)":
            return list(self.session.run(None, {entry.name: tensor.astype(np.float16)}))
        return list(self.session.run(None, {entry.name: tensor}))


def load_network(path: Path, *, threads: int | None, input_size: ImageSize | None) -> Network:
    """Load a model for the CPU.

    Args:
        path: The model's file.
        threads: Threads for one picture; None for `default_threads`.
        input_size: ``(width, height)`` for a model that leaves it open; None otherwise.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        AlFrameworkError: The file is missing or no ONNX model, or its input is no picture.
    """
    runtime = require("onnxruntime", extra="onnx")
    with _opened(path) as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        start = stream.read(24)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or default_threads()
    options.inter_op_num_threads = 1
    # Idle threads that spin would take the cores from the encoder and the caller.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as exc:  # onnxruntime's errors share no base class but this
        raise AlFrameworkError(_why(path, start, exc)) from exc
    return Network(
        session=session,
        path=path,
        digest=digest,
        input_size=_input_size(session, path, input_size),
        metadata=session.get_modelmeta().custom_metadata_map,
    )


def default_threads() -> int:
    """Return the number of cores that this process may use, 4 at the most."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    return min(cores, 4)


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except FileNotFoundError as exc:
        names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, names, n=1) or [
            name for name in sorted(names) if name.endswith(".onnx")
        ]
        hint = f"did you mean {near[0]!r}" if near else "check 'model'"
        raise AlFrameworkError(f"there is no model file {str(path)!r}: {hint}") from exc
    except OSError as exc:
        raise AlFrameworkError(
            f"the model file {str(path)!r} cannot be read: {exc.strerror}"
        ) from exc


def _why(path: Path, start: bytes, exc: Exception) -> str:
    for prefix, what in _NOT_ONNX.items():
        if start.startswith(prefix):
            return f"the model file {str(path)!r} is {what}"
    if type(exc).__name__ == "InvalidProtobuf" or not start:
        return (
            f"the model file {str(path)!r} is not an ONNX model: it starts with {start[:8]!r}; "
            "export the model to ONNX"
        )
    reason = str(exc).strip().splitlines()[0]
    return f"the model {str(path)!r} cannot be loaded: {reason}"


def _input_size(session: Any, path: Path, given: ImageSize | None) -> ImageSize:
    inputs = session.get_inputs()
    shape = inputs[0].shape
    if (
        len(inputs) != 1
        or len(shape) != 4
        or inputs[0].type not in {"tensor(float)", "tensor(float16)"}
        or (isinstance(shape[0], int) and shape[0] != 1)
        or (isinstance(shape[1], int) and shape[1] != 3)
    ):
        seen = ", ".join(f"{entry.name} {entry.type} {entry.shape}" for entry in inputs)
        raise AlFrameworkError(
            f"the model {str(path)!r} does not take one picture of 1 x 3 x height x width as "
            f"floats: its inputs are {seen}"
        )
    height, width = shape[2:]
    if isinstance(height, int) and isinstance(width, int):
        if given is not None and given != (width, height):
            raise AlFrameworkError(
                f"the model {str(path)!r} takes pictures of {width}x{height} pixels, not of "
                f"{given[0]}x{given[1]}: remove 'input_size'"
            )
        return width, height
    if given is None:
        raise AlFrameworkError(
            f"the model {str(path)!r} leaves the size of its input open: give 'input_size'"
        )
    return given
