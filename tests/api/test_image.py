"""A picture of any kind has its upright size and its pixels, decoded no more than once."""

import io
import struct
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageFile
import PIL.ImageOps
import pytest

from al_framework.api import Image, ImageError, _decoding, _formats
from al_framework.testing.fakes import sample_jpeg, sample_pixels

RGB = np.ascontiguousarray(sample_pixels(48, 32)[:, :, ::-1])
LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True}}
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}


def encode(picture: PIL.Image.Image, format_: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format_, **options)
    return buffer.getvalue()


def rgb_picture() -> PIL.Image.Image:
    return PIL.Image.fromarray(RGB)


def exif_with(orientation: int) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return exif


def chunk(kind: bytes, payload: bytes) -> bytes:
    checked = kind + payload
    return struct.pack(">I", len(payload)) + checked + struct.pack(">I", zlib.crc32(checked))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every decode that Pillow does."""
    seen: list[object] = []
    for opener in (PIL.ImageFile.ImageFile, *_openers()):
        if "load" in vars(opener):
            monkeypatch.setattr(opener, "load", _counting(opener.load, seen))
    return seen


def _openers() -> list[type]:
    opened = [
        _decoding.open_picture(encode(rgb_picture(), name), name) for name in _formats.FORMATS
    ]
    return [type(picture) for picture in opened]


def _counting(load: Any, seen: list[object]) -> Any:
    def counted(self: object) -> object:
        seen.append(self)
        return load(self)

    return counted


class TestSize:
    @pytest.mark.parametrize("format_", _formats.FORMATS)
    def test_size_and_format_come_from_the_header(self, format_: str, loads: list[object]) -> None:
        image = Image(encode(rgb_picture(), format_))

        assert ((48, 32), format_, 1) == (image.size, image.format, image.orientation)
        assert not image.decoded
        assert loads == []

    def test_size_of_a_4k_jpeg_decodes_nothing(self, loads: list[object]) -> None:
        data = sample_jpeg(3840, 2160)

        assert Image(data).size == (3840, 2160)
        assert loads == []

    def test_size_of_a_png_with_exif_decodes_nothing(self, loads: list[object]) -> None:
        data = encode(rgb_picture(), "PNG", exif=exif_with(6))

        assert Image(data).size == (32, 48)
        assert loads == []

    @pytest.mark.parametrize(
        "options", [{"lossless": True}, {"lossless": False}, {"exif": exif_with(8)}]
    )
    def test_every_kind_of_webp_is_measured(self, options: dict[str, Any]) -> None:
        image = Image(encode(rgb_picture(), "WEBP", **options))

        assert ((32, 48) if "exif" in options else (48, 32)) == image.size

    def test_arrays_and_pil_images_have_no_format(self) -> None:
        assert Image(RGB).format is None
        assert Image(rgb_picture()).format is None
        assert Image(RGB).size == Image(rgb_picture()).size == (48, 32)

    def test_a_path_is_read_once_and_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jpg"
        path.write_bytes(sample_jpeg())
        image = Image(str(path))

        first = image.encoded
        path.unlink()

        assert image.encoded is first
        assert image.size == (64, 48)
        assert path == image.path
        assert Image(b"").path is None


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("format_", ["PNG", "TIFF", "WEBP"])
    def test_size_and_pixels_are_upright(self, format_: str, orientation: int) -> None:
        options: dict[str, Any] = {**LOSSLESS[format_], "exif": exif_with(orientation)}
        if format_ == "TIFF":
            options = {"tiffinfo": {0x0112: orientation}}
        data = encode(rgb_picture(), format_, **options)
        expected = TURNS[orientation](RGB)
        opened = PIL.Image.open(io.BytesIO(data))

        for image in (Image(data), Image(opened)):
            assert (expected.shape[1], expected.shape[0]) == image.size
            np.testing.assert_array_equal(expected, image.pixels("rgb"))
        with PIL.Image.open(io.BytesIO(data)) as reference:
            np.testing.assert_array_equal(expected, PIL.ImageOps.exif_transpose(reference))

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_jpeg_is_turned_as_pillow_turns_it(self, orientation: int) -> None:
        data = encode(rgb_picture(), "JPEG", exif=exif_with(orientation))
        with PIL.Image.open(io.BytesIO(data)) as reference:
            expected = np.asarray(PIL.ImageOps.exif_transpose(reference))

        for image in (Image(data), Image(PIL.Image.open(io.BytesIO(data)))):
            assert orientation == image.orientation
            assert (expected.shape[1], expected.shape[0]) == image.size
            np.testing.assert_array_equal(expected, image.pixels("rgb"))

    def test_exif_behind_the_pixels_of_a_png_counts(self) -> None:
        data = encode(rgb_picture(), "PNG")
        exif = chunk(b"eXIf", exif_with(6).tobytes()[6:])
        image = Image(data[:-12] + exif + data[-12:])

        assert image.size == (32, 48)
        np.testing.assert_array_equal(TURNS[6](RGB), image.pixels("rgb"))

    def test_a_tiff_that_was_decoded_already_is_not_turned_again(self) -> None:
        data = encode(rgb_picture(), "TIFF", tiffinfo={0x0112: 6})
        opened = PIL.Image.open(io.BytesIO(data))
        opened.load()

        assert Image(opened).size == (32, 48)


class TestPixels:
    @pytest.mark.parametrize("format_", sorted(LOSSLESS))
    def test_lossless_formats_give_their_pixels(self, format_: str) -> None:
        image = Image(encode(rgb_picture(), format_, **LOSSLESS[format_]))

        np.testing.assert_array_equal(RGB, image.pixels("rgb"))
        np.testing.assert_array_equal(RGB[:, :, ::-1], image.pixels())

    def test_arrays_are_bgr_unless_said_otherwise(self) -> None:
        bgr = np.ascontiguousarray(RGB[:, :, ::-1])

        np.testing.assert_array_equal(RGB, Image(bgr).pixels("rgb"))
        np.testing.assert_array_equal(RGB, Image(RGB, color="rgb").pixels("rgb"))
        np.testing.assert_array_equal(bgr, Image(RGB, color="rgb").pixels("bgr"))

    @pytest.mark.parametrize("color", ["bgr", "rgb"])
    def test_a_fourth_channel_is_dropped(self, color: Any) -> None:
        four = np.dstack([RGB, np.zeros(RGB.shape[:2], np.uint8)])

        np.testing.assert_array_equal(RGB, Image(four, color=color).pixels(color))

    @pytest.mark.parametrize("shape", [(32, 48), (32, 48, 1)])
    def test_grey_arrays_get_three_equal_channels(self, shape: tuple[int, ...]) -> None:
        grey = RGB[:, :, 0].reshape(shape)

        pixels = Image(grey).pixels()

        assert pixels.shape == (32, 48, 3)
        np.testing.assert_array_equal(pixels, np.dstack([RGB[:, :, 0]] * 3))

    def test_sixteen_bits_keep_their_high_byte(self) -> None:
        high = RGB[:, :, 0]
        deep = high.astype(np.uint16) * 256 + 77
        data = encode(PIL.Image.fromarray(deep), "PNG")

        np.testing.assert_array_equal(high, Image(data).pixels()[:, :, 1])
        np.testing.assert_array_equal(high, Image(PIL.Image.fromarray(deep)).pixels()[:, :, 1])

    def test_a_palette_with_transparency_keeps_its_colours(self) -> None:
        palette = rgb_picture().quantize(16)
        data = encode(palette, "PNG", transparency=bytes([0, 128] * 8))

        np.testing.assert_array_equal(palette.convert("RGB"), Image(data).pixels("rgb"))

    def test_transparency_is_dropped(self) -> None:
        picture = rgb_picture()
        picture.putalpha(40)

        np.testing.assert_array_equal(RGB, Image(encode(picture, "PNG")).pixels("rgb"))

    def test_cmyk_is_converted(self) -> None:
        data = encode(PIL.Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)

        np.testing.assert_allclose([254, 0, 0], Image(data).pixels("rgb")[8, 8], atol=3)

    def test_pixels_are_read_only_and_the_givers_array_is_not(self) -> None:
        array = RGB.copy()
        pixels = Image(array, color="rgb").pixels("rgb")

        with pytest.raises(ValueError, match="read-only"):
            pixels[0, 0, 0] = 1
        array[0, 0, 0] = 1
        assert array.flags.writeable

    def test_many_threads_decode_once_and_share_the_pixels(self, loads: list[object]) -> None:
        image = Image(sample_jpeg(640, 480))
        barrier = threading.Barrier(8)
        pixels: list[object] = []

        def read() -> None:
            barrier.wait(10)
            pixels.append(image.pixels())

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)

        assert len(pixels) == 8
        assert len({id(entry) for entry in pixels}) == 1
        assert len({id(entry) for entry in loads}) == 1
        assert image.decoded


class TestOwned:
    def test_a_copy_of_an_array_does_not_follow_its_giver(self) -> None:
        array = RGB.copy()
        owned = Image(array, color="rgb").owned()

        array[:] = 0

        np.testing.assert_array_equal(RGB, owned.pixels("rgb"))

    def test_a_copy_of_a_pil_image_does_not_follow_its_giver(self) -> None:
        picture = rgb_picture()
        owned = Image(picture).owned()

        picture.paste(0, (0, 0, 48, 32))

        np.testing.assert_array_equal(RGB, owned.pixels("rgb"))

    def test_a_truncated_pil_image_is_an_image_error(self) -> None:
        opened = PIL.Image.open(io.BytesIO(sample_jpeg()[:-500]))

        with pytest.raises(ImageError, match=r"the image does not decode .*truncated"):
            Image(opened).owned()

    def test_bytes_are_shared_and_decoded_pixels_go_along(self) -> None:
        image = Image(sample_jpeg())
        pixels = image.pixels()
        owned = image.owned()

        assert owned.encoded is image.encoded
        assert owned.pixels() is pixels

    def test_a_path_is_read_now(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jpg"
        path.write_bytes(sample_jpeg())

        owned = Image(path).owned()
        path.unlink()

        assert owned.size == (64, 48)
        assert path == owned.path

    @pytest.mark.parametrize("kind", [bytearray, memoryview])
    def test_buffers_are_copied_at_once(self, kind: Any) -> None:
        buffer = bytearray(sample_jpeg())
        image = Image(kind(buffer))

        buffer[:] = bytes(len(buffer))

        assert image.size == (64, 48)


class TestWords:
    def test_repr_tells_the_kind_and_no_bytes(self, tmp_path: Path) -> None:
        assert repr(Image(RGB)) == "Image(array 32x48x3)"
        assert repr(Image(b"abc")) == "Image(3 bytes)"
        assert repr(Image(rgb_picture())) == "Image(PIL)"
        assert repr(Image(tmp_path / "a.jpg")) == f"Image({str(tmp_path / 'a.jpg')!r})"

    def test_nbytes_counts_what_is_held(self) -> None:
        data = sample_jpeg()
        image = Image(data)

        assert len(data) == image.nbytes
        image.pixels()
        assert len(data) + 64 * 48 * 3 == image.nbytes
        assert 48 * 32 * 3 == Image(rgb_picture()).nbytes == Image(RGB).nbytes
        assert not Image(RGB).decoded
