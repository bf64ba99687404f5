"""A picture that is not decoded until somebody reads its pixels.

The frame loop passes pictures to strategies that mostly look at predictions only, so a picture
keeps what the caller gave (bytes, a path, an array, a PIL image), answers for its size from the
header, and decodes once, when `Image.pixels` is first called.
"""

import os
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from al_framework.api import _decoding, _formats
from al_framework.api._formats import MAX_BYTES
from al_framework.api.errors import ImageError

if TYPE_CHECKING:
    import PIL.Image

ColorOrder: TypeAlias = Literal["bgr", "rgb"]
ImageSize: TypeAlias = _formats.ImageSize
Pixels: TypeAlias = npt.NDArray[np.uint8]
ImageInput: TypeAlias = (
    "bytes | bytearray | memoryview | str | os.PathLike[str] | Pixels | PIL.Image.Image"
)


_UINT8 = np.dtype(np.uint8)
_MAX_PATH = 4096  # Linux's PATH_MAX
_CHUNK = 16 * 1024  # of a file that turns out longer than it said
# Without waiting: opening a pipe that nobody writes to would take for ever.
_READ_ONLY = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


class Image:
    """One picture, from wherever it comes.

    Sizes are *upright*: EXIF orientation is already applied, as it is to the pixels. Instances
    are safe to share between threads; the pixels they give are read-only.

    Args:
        value: Encoded bytes, a path, a uint8 array ``(h, w)``, ``(h, w, 1)``, ``(h, w, 3)`` or
            ``(h, w, 4)`` (the fourth channel is dropped), or a PIL image. It is kept by
            reference.
        color: Order of an array's channels; bytes, paths and PIL images know their own.

    Raises:
        ImageError: The value is of another kind, or an array of another type or shape. Encoded
            bytes and paths are looked at later, when something asks for them.
    """

    __slots__ = ("_array", "_color", "_data", "_header", "_lock", "_path", "_pil", "_pixels")

    def __init__(self, value: "ImageInput", *, color: ColorOrder = "bgr") -> None:
        self._array: Pixels | None = None
        self._data: bytes | None = None
        self._path: Path | None = None
        self._pil: PIL.Image.Image | None = None
        self._color: ColorOrder = color
        self._header: _formats.Header | None = None
        self._pixels: Pixels | None = None
        self._lock = threading.Lock()
        if color not in ("bgr", "rgb"):
            raise ImageError(f"the colour order {color!r} is unknown: choose 'bgr' or 'rgb'")
        if isinstance(value, bytes):
            self._data = value
        elif isinstance(value, np.ndarray):
            self._array = _checked_array(value)
        elif isinstance(value, bytearray | memoryview):
            self._data = bytes(value)
        elif isinstance(value, str | os.PathLike):
            self._path = _checked_path(value)
        elif hasattr(value, "getexif") and hasattr(value, "tobytes"):
            self._pil = value
        else:
            raise ImageError(
                f"an image of type {type(value).__name__!r} cannot be read: pass encoded bytes, "
                "a path, a PIL image or a uint8 array"
            )

    @property
    def path(self) -> Path | None:
        """The file that the picture was given as, or None."""
        return self._path

    @property
    def size(self) -> ImageSize:
        """Upright ``(width, height)`` in pixels, read from the header.

        Raises:
            ImageError: The bytes are no picture that we read, or exceed 50 million pixels.
        """
        return self._read_header().size

    @property
    def format(self) -> str | None:
        """Pillow's name of the encoding (``JPEG``, ``PNG``, …); None for arrays and PIL images.

        Raises:
            ImageError: As for `size`.
        """
        return self._read_header().format

    @property
    def orientation(self) -> int:
        """EXIF orientation, 1 to 8; 1 means that the stored pixels are upright.

        Raises:
            ImageError: As for `size`.
        """
        return self._read_header().orientation

    @property
    def encoded(self) -> bytes | None:
        """The file as it came, or None for arrays and PIL images. A path is read once and kept.

        Raises:
            ImageError: The file cannot be read or exceeds 32 MiB.
        """
        if self._data is None and self._path is not None:
            self._data = _read_file(self._path)
        return self._data

    @property
    def decoded(self) -> bool:
        """Whether pixels have been made from encoded bytes yet."""
        return self._pixels is not None and self._array is None

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the picture holds on to, roughly."""
        held = len(self._data) if self._data is not None else 0
        if self._array is not None:
            held += self._array.nbytes
        if self._pixels is not None:
            held += self._pixels.nbytes
        if self._pil is not None:
            held += self._pil.width * self._pil.height * 3
        return held

    def pixels(self, color: ColorOrder = "bgr") -> Pixels:
        """Return the upright picture as a read-only uint8 array ``(h, w, 3)``.

        The picture is decoded by the first call only and kept; the other colour order is a view.

        Args:
            color: Channel order wanted: ``bgr`` as in OpenCV, ``rgb`` as in PIL.

        Raises:
            ImageError: The picture is truncated, corrupt, too large, or no picture at all.
        """
        with self._lock:
            if self._pixels is None:
                self._pixels = self._make_pixels()
        return self._pixels if color == "bgr" else self._pixels[:, :, ::-1]

    def owned(self) -> "Image":
        """Return a picture that shares no memory which its giver may write to.

        Arrays and PIL images are copied; bytes cannot change and a path is read now, so these
        return the picture itself.

        Raises:
            ImageError: A file given by path cannot be read.
        """
        if self._array is not None:
            return Image(_copied(self._array), color=self._color)
        if self._pil is not None:
            with _decoding.decoding(self._name()):
                return Image(self._pil.copy())
        if self._data is None and self._path is not None:
            self._data = _read_file(self._path)
        return self

    def __repr__(self) -> str:
        """Return what kind of picture this is; never its bytes."""
        if self._array is not None:
            return f"Image(array {'x'.join(map(str, self._array.shape))})"
        if self._path is not None:
            return f"Image({str(self._path)!r})"
        return f"Image({len(self._data)} bytes)" if self._data is not None else "Image(PIL)"

    def _read_header(self) -> _formats.Header:
        if self._header is None:
            try:
                self._header = self._make_header()
            except _formats.UnreadableError as exc:
                raise ImageError(f"{self._name()} {exc}") from exc
        return self._header

    def _make_header(self) -> _formats.Header:
        if self._array is not None:
            height, width = self._array.shape[:2]
            header = _formats.Header((width, height), None, 1)
        elif self._pil is not None:
            size, orientation = _decoding.read_turn(self._pil)
            header = _formats.Header(size, None, orientation)
        else:
            return _formats.read_header(self.encoded or b"")
        _formats.check_size(header.size)
        return header

    def _make_pixels(self) -> Pixels:
        header = self._read_header()
        if self._array is not None:
            pixels = _three_channels(self._array, self._color)
        else:
            with _decoding.decoding(self._name()):
                pixels = self._decode(header)
        pixels.setflags(write=False)
        return pixels

    def _decode(self, header: _formats.Header) -> Pixels:
        picture = self._pil
        if picture is None:
            picture = _decoding.open_picture(self.encoded or b"", header.format or "")
        picture.load()
        rgb = _decoding.turn(_decoding.to_rgb(picture), header.orientation)
        # Pillow swaps the channels on its way out: 5 ms for 4K, where numpy takes 20.
        flat = np.frombuffer(rgb.tobytes("raw", "BGR"), dtype=np.uint8)
        return flat.reshape((rgb.height, rgb.width, 3))

    def _name(self) -> str:
        return f"the image {str(self._path)!r}" if self._path is not None else "the image"


def _checked_path(value: "str | os.PathLike[str]") -> Path:
    text = os.fspath(value)
    if len(text) > _MAX_PATH:
        raise ImageError(
            f"a text of {len(text)} characters, {text[:20]!r}…, is no path: if it is base64, "
            "decode it and pass the bytes"
        )
    if text.startswith(("http://", "https://", "data:")):
        raise ImageError(f"{text[:80]!r} is an address: fetch it and pass the bytes")
    return value if isinstance(value, Path) else Path(value)


def _read_file(path: Path) -> bytes:
    name = f"the image {str(path)!r}"
    try:
        # Looked at through the descriptor: what the name stands for may be another file by then.
        descriptor = os.open(path, _READ_ONLY)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, a device never ends
                raise ImageError(f"{name} cannot be read: it is not a file")
            data = _read_descriptor(descriptor, status.st_size)
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise ImageError(f"{name} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:  # a name with a NUL in it, such as the bytes of a picture as text
        raise ImageError(f"{name} cannot be read: {exc}") from exc
    size = max(status.st_size, len(data))
    if size > MAX_BYTES:
        raise ImageError(
            f"{name} holds {size} bytes, more than the {MAX_BYTES} we read: make it smaller"
        )
    return data


def _read_descriptor(descriptor: int, expected: int) -> bytes:
    """Return what a file holds; of one that exceeds the limit, nothing, or one byte too many."""
    if expected > MAX_BYTES:
        return b""
    # As much memory as the file needs: asking for the limit takes 32 MiB from the system each time.
    parts, left, most = [], MAX_BYTES + 1, expected + 1
    while part := os.read(descriptor, min(left, most)):
        parts.append(part)
        left -= len(part)  # 0 where a file grows without end: nothing is asked for then
        most = _CHUNK
    return b"".join(parts)


def _checked_array(array: npt.NDArray[Any]) -> Pixels:
    shape, dtype = array.shape, array.dtype
    if dtype is _UINT8 and len(shape) == 3 and shape[2] == 3:  # as nearly all are
        return array
    channels = shape[2] if len(shape) == 3 else 1
    if dtype != _UINT8 or len(shape) not in (2, 3) or channels not in (1, 3, 4):
        raise ImageError(
            f"an array of type {dtype} and shape {shape} is no picture: pass uint8 "
            "(h, w), (h, w, 1), (h, w, 3) or (h, w, 4)"
        )
    return array


def _copied(array: Pixels) -> Pixels:
    # Not array.copy(): it lets go of the interpreter, and while another thread is busy it comes
    # back after 5 ms. A picture of 1920x1080 is copied in half a millisecond.
    return np.frombuffer(array.tobytes(), dtype=np.uint8).reshape(array.shape)


def _three_channels(array: Pixels, color: ColorOrder) -> Pixels:
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.shape[2] == 1:
        return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))
    array = array[:, :, :3]
    return array[:, :, ::-1] if color == "rgb" else array[:]
