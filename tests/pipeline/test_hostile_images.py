"""Pictures that somebody made to hurt: each ends as an `ImageError`, or as a sound JPEG."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest

from al_framework.api import Frame, Image, ImageError, Unlabelled
from al_framework.pipeline.encoding import EncodingRules, encode_frame
from al_framework.testing.fakes import sample_jpeg, sample_pixels

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
RULES = EncodingRules(max_image_size=None, verify="full")
SCRIPT = b"<script>alert(1)</script><?php system('id'); ?>"


def encoded(format_, picture=None, **options):
    picture = picture if picture is not None else PIL.Image.fromarray(sample_pixels(40, 30))
    buffer = io.BytesIO()
    picture.save(buffer, format_, **options)
    return buffer.getvalue()


def stored(data):
    """Return what would lie on the disk."""
    frame = Frame(frame_id="f", image=data if isinstance(data, Image) else Image(data))
    return encode_frame(frame, Unlabelled(), RULES).image


def chunk(kind, payload):
    body = kind + payload
    return struct.pack(">I", len(payload)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, *chunks, bits=8, color=2):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def jpeg_of_size(width, height):
    data = bytearray(sample_jpeg(16, 16))
    at = data.index(b"\xff\xc0") + 5
    struct.pack_into(">HH", data, at, height, width)
    return bytes(data)


def bmp_of_size(width, height):
    data = bytearray(encoded("BMP"))
    struct.pack_into("<ii", data, 18, width, height)
    return bytes(data)


def webp_of_size(width, height):
    data = bytearray(encoded("WEBP", lossless=True))
    struct.pack_into("<I", data, 21, (width - 1) | (height - 1) << 14)
    return bytes(data)


BOMBS = {
    "png 12000 squared": png(12000, 12000, chunk(b"IDAT", zlib.compress(bytes(10**6)))),
    "png 20000 squared": png(20000, 20000, chunk(b"IDAT", zlib.compress(bytes(10**6)))),
    "png two to the 31": png(2**31 - 1, 2**31 - 1),
    "jpeg 65535 squared": jpeg_of_size(65535, 65535),
    "bmp 2 to the 30": bmp_of_size(2**30, 2**30),
    "webp 16384 squared": webp_of_size(16384, 16384),
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused_by_their_header(data):
    image = Image(data)

    with pytest.raises(ImageError, match=r"pixels, more than the 50000000 we decode"):
        stored(image)
    assert not image.decoded


@pytest.mark.parametrize(
    "data",
    [png(0, 10), png(10, 0), jpeg_of_size(0, 16), jpeg_of_size(16, 0)],
    ids=["png 0xN", "png Nx0", "jpeg 0xN", "jpeg Nx0"],
)
def test_pictures_without_pixels_are_refused(data):
    with pytest.raises(ImageError, match=r"is \d+x\d+ pixels: it is empty"):
        stored(data)


def test_compressed_text_in_a_png_does_not_unfold():
    bomb = zlib.compress(bytes(200 * 1024 * 1024), 9)
    data = png(8, 8, chunk(b"zTXt", b"a\0\0" + bomb), chunk(b"IDAT", zlib.compress(bytes(8 * 25))))

    with pytest.raises(ImageError, match="does not decode"):
        stored(data)


def test_a_compressed_profile_in_a_png_does_not_unfold():
    profile = zlib.compress(bytes(100 * 1024 * 1024), 9)
    data = png(8, 8, chunk(b"iCCP", b"a\0\0" + profile), chunk(b"IDAT", zlib.compress(bytes(200))))

    with pytest.raises(ImageError, match="does not decode"):
        stored(data)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_picture_cut_off_anywhere_is_refused_or_whole(format_):
    options = {"lossless": True} if format_ == "WEBP" else {}
    data = encoded(format_, **options)
    whole = stored(data)
    wrong = []
    for part in range(50):
        cut = data[: len(data) * part // 50]
        try:
            if stored(cut) != whole:
                wrong.append(part)
        except ImageError:
            pass

    assert wrong == []


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("suffix", ["jpg", "eps", "svg", "txt"])
def test_the_bytes_say_what_a_file_is_and_not_its_name(tmp_path, format_, suffix):
    path = tmp_path / f"picture.{suffix}"
    path.write_bytes(encoded(format_))

    assert format_ == Image(path).format


STRANGERS = {
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "psd": b"8BPS\0\1" + bytes(20),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "gif": encoded("GIF"),
    "ico": b"\0\0\1\0\1\0" + bytes(16),
    "pdf": b"%PDF-1.7\n",
    "fits": b"SIMPLE  =                    T",
    "html": b"<!doctype html>",
    "zip": b"PK\3\4" + bytes(26),
    "nothing": b"",
    "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
}


@pytest.mark.parametrize("data", STRANGERS.values(), ids=STRANGERS)
def test_other_formats_are_refused_under_any_name(tmp_path, data):
    path = tmp_path / "picture.jpg"
    path.write_bytes(data)

    with pytest.raises(ImageError):
        stored(Image(path))


@pytest.mark.parametrize("format_", FORMATS)
def test_what_hides_behind_a_picture_is_not_stored(format_):
    data = stored(encoded(format_) + SCRIPT + b"PK\3\4")

    assert SCRIPT not in data
    assert data.endswith(b"\xff\xd9")


@pytest.mark.parametrize("field", ["comment", "exif", "icc"])
def test_what_hides_in_a_pictures_metadata_is_not_stored(field):
    exif = PIL.Image.Exif()
    exif[0x010E] = SCRIPT.decode()
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    options = {"comment": {"comment": SCRIPT}, "exif": {"exif": exif}, "icc": {}}[field]
    data = stored(encoded("JPEG", **options))

    assert SCRIPT not in data
    assert b"Exif" not in data


MODES = {
    "cmyk": encoded("JPEG", PIL.Image.new("CMYK", (40, 30), (0, 255, 255, 0))),
    "16 bit": encoded("PNG", PIL.Image.fromarray(np.full((30, 40), 40000, np.uint16))),
    "one bit": encoded("PNG", PIL.Image.new("1", (40, 30), 1)),
    "palette": encoded("PNG", PIL.Image.new("P", (40, 30), 3)),
    "alpha": encoded("PNG", PIL.Image.new("RGBA", (40, 30), (1, 2, 3, 4))),
    "grey alpha": encoded("PNG", PIL.Image.new("LA", (40, 30), (1, 2))),
    "float": encoded("TIFF", PIL.Image.new("F", (40, 30), 0.5)),
    "animated webp": encoded(
        "WEBP",
        save_all=True,
        append_images=[PIL.Image.new("RGB", (40, 30), (n, 0, 0)) for n in range(5)],
    ),
    "animated png": encoded(
        "PNG", save_all=True, append_images=[PIL.Image.new("RGB", (40, 30), (9, 9, 9))]
    ),
    "tiff of several pages": encoded(
        "TIFF", save_all=True, append_images=[PIL.Image.new("RGB", (1000, 800))]
    ),
    "two pictures": encoded("JPEG") + encoded("JPEG"),  # as MPO holds them
}


@pytest.mark.parametrize("data", MODES.values(), ids=MODES)
def test_unusual_pictures_are_stored_as_plain_jpegs(data):
    with PIL.Image.open(io.BytesIO(stored(data))) as picture:
        picture.load()

        assert (picture.format, picture.mode in {"RGB", "L"}) == ("JPEG", True)
        assert picture.size == (40, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotated_pictures_are_stored_upright_and_say_so_no_more(orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    with PIL.Image.open(io.BytesIO(stored(encoded("JPEG", exif=exif)))) as picture:
        assert picture.size == ((30, 40) if orientation > 4 else (40, 30))
        assert dict(picture.getexif()) == {}


def test_a_file_that_grows_while_it_is_read_is_no_way_past_the_limit(tmp_path, monkeypatch):
    path = tmp_path / "grows.jpg"
    path.write_bytes(sample_jpeg(16, 16))
    monkeypatch.setattr("al_framework.api.image.MAX_BYTES", path.stat().st_size)
    stored(Image(path))
    with path.open("ab") as file:
        file.write(b"x")

    with pytest.raises(ImageError, match=r"bytes, more than the \d+ we read: make it smaller"):
        stored(Image(path))
