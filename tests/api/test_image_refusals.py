"""What is no picture, or one too large or damaged, is refused with a reason."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from al_framework.api import Image, ImageError
from al_framework.testing.fakes import sample_jpeg, sample_pixels

RGB = np.ascontiguousarray(sample_pixels(48, 32)[:, :, ::-1])


def encode(picture: PIL.Image.Image, format_: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format_, **options)
    return buffer.getvalue()


def rgb_picture() -> PIL.Image.Image:
    return PIL.Image.fromarray(RGB)


def chunk(kind: bytes, payload: bytes) -> bytes:
    checked = kind + payload
    return struct.pack(">I", len(payload)) + checked + struct.pack(">I", zlib.crc32(checked))


def png_bomb() -> bytes:
    pixels = zlib.compress(bytes(12000 * 1501), 9)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 12000, 12000, 1, 0, 0, 0, 0))
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


def packed_bmp(width: int, height: int, *, bits: int = 8) -> bytes:
    """Return a picture of few bytes and many pixels: its rows are all but empty."""
    palette = b"\0\0\0\0\xff\xff\xff\0" * (128 if bits == 8 else 8)
    rows = b"\1\1\0\0" * height + b"\0\1"
    start = 14 + 40 + len(palette)
    packing, colors = (1, 256) if bits == 8 else (2, 16)
    about = (40, width, height, 1, bits, packing, len(rows), 0, 0, colors, 0)
    head = struct.pack("<IHHI", start + len(rows), 0, 0, start)
    return b"BM" + head + struct.pack("<IiiHHIIiiII", *about) + palette + rows


class TestRefusals:
    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (7, "an image of type 'int' cannot be read: pass encoded bytes, a path"),
            (None, "an image of type 'NoneType' cannot be read"),
            (np.zeros((4, 4), np.float32), "type float32 and shape .4, 4. is no picture: pass"),
            (np.zeros((4, 4, 2), np.uint8), "type uint8 and shape .4, 4, 2. is no picture"),
            (np.zeros(4, np.uint8), "type uint8 and shape .4,. is no picture"),
        ],
    )
    def test_other_values_are_refused_at_once(self, value: Any, message: str) -> None:
        with pytest.raises(ImageError, match=message):
            Image(value)

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "the image is empty: it holds no bytes"),
            (
                b"hello, world",
                r"is not a picture that can be read \(JPEG, .*starts with b'hello, w",
            ),
            (b"GIF89a....", "is not a picture that can be read"),
            (b"\xff\xd8\xff\xe0", "is not a readable JPEG: it stops inside its header"),
            (b"\x89PNG\r\n\x1a\n", "is not a readable PNG: it stops inside its header"),
            (b"BM", "is not a readable BMP: "),
            (b"II*\0", "is not a readable TIFF: "),
            (b"RIFF\0\0\0\0WEBPVP8X", "is not a readable WEBP: it stops inside its header"),
            (b"RIFF\0\0\0\0WEBPVP8L" + bytes(30), "is not a readable WEBP: "),
            (png_bomb(), "is 12000x12000 pixels, more than the 50000000 we decode"),
            (
                b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\xff\x3f\0" * 2,
                "is 16384x16384 pixels, more than the 50000000 we decode",
            ),
            (bytes(32 * 1024 * 1024 + 1), "holds 33554433 bytes, more than the 33554432 we read"),
        ],
        ids=lambda value: value[:24] if isinstance(value, str) else "data",
    )
    def test_bytes_that_are_no_picture_say_why(self, data: bytes, message: str) -> None:
        with pytest.raises(ImageError, match=message):
            _ = Image(data).size

    def test_a_bomb_is_small_and_draws_no_warning(self) -> None:
        # filterwarnings=error turns Pillow's DecompressionBombWarning into another exception.
        data = png_bomb()

        assert len(data) < 20_000
        with pytest.raises(ImageError, match="12000x12000"):
            Image(data).pixels()

    @pytest.mark.parametrize(("size", "bits"), [((5_000_001, 1), 8), ((7000, 7000), 4)])
    def test_run_lengths_that_are_slow_to_decode_are_refused(
        self, size: tuple[int, int], bits: int
    ) -> None:
        message = f"is a BMP with run lengths of {size[0]}x{size[1]} pixels, more than the 5000000"
        with pytest.raises(ImageError, match=f"{message} we decode of these: save it as PNG"):
            _ = Image(packed_bmp(*size, bits=bits)).size

    def test_run_lengths_of_a_usual_picture_are_read(self) -> None:
        assert Image(packed_bmp(640, 480)).pixels().shape == (480, 640, 3)

    @pytest.mark.parametrize("value", [np.zeros((0, 4), np.uint8), np.zeros((4, 0, 3), np.uint8)])
    def test_arrays_without_pixels_are_empty(self, value: Any) -> None:
        with pytest.raises(ImageError, match="pixels: it is empty"):
            _ = Image(value).size

    def test_large_arrays_are_capped_too(self) -> None:
        array = np.broadcast_to(np.uint8(0), (10_000, 10_000))

        with pytest.raises(ImageError, match="the image is 10000x10000 pixels, more than"):
            Image(array).pixels()

    def test_a_text_file_named_jpg_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "note.jpg"
        path.write_text("dear diary")

        with pytest.raises(ImageError, match=r"note.jpg' is not a picture .*b'dear dia'"):
            _ = Image(path).size

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"gone.jpg' cannot be read: No such file"):
            _ = Image(tmp_path / "gone.jpg").size

    def test_a_directory_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="cannot be read: it is not a file"):
            _ = Image(tmp_path).size

    def test_a_name_with_a_nul_cannot_be_read(self) -> None:
        with pytest.raises(ImageError, match=r"cannot be read: .*null"):
            _ = Image("a\0b").size

    def test_a_large_file_is_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "large.jpg"
        with path.open("wb") as file:
            file.truncate(32 * 1024 * 1024 + 1)

        with pytest.raises(ImageError, match=r"large.jpg' holds 33554433 bytes, more than"):
            _ = Image(path).encoded

    @pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "BMP"])
    def test_truncated_files_do_not_decode(self, format_: str) -> None:
        data = encode(rgb_picture(), format_)

        for share in (0.5, 0.7, 0.9):
            with pytest.raises(ImageError, match=r"does not decode|is not a readable"):
                Image(data[: int(len(data) * share)]).pixels()

    def test_an_undecodable_file_says_whose_fault_it_is(self) -> None:
        data = sample_jpeg(200, 100)

        with pytest.raises(
            ImageError, match=r"the image does not decode \(OSError: .*\): the file is truncated or"
        ):
            Image(data[: len(data) // 2]).pixels()
