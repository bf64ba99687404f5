"""A JPEG passes through without its metadata; anything else is encoded anew, or refused."""

import hashlib
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from al_framework.api import Frame, Image, ImageError, Unlabelled, _jpeg
from al_framework.pipeline.encoding import EncodedFrame, EncodingRules, encode_frame, scaled_size
from al_framework.pipeline.passthrough import strip_jpeg
from al_framework.testing.fakes import sample_jpeg, sample_pixels

PLAIN = EncodingRules(max_image_size=None)
RGB = np.ascontiguousarray(sample_pixels(96, 64)[:, :, ::-1])
SECRETS = (b"52.5200N", b"ACME-CAMERA", b"<x:xmpmeta", b"Photoshop 3.0", b"taken by", b"JFXX")


def picture(mode: str = "RGB") -> PIL.Image.Image:
    return PIL.Image.fromarray(RGB).convert(mode)


def save(what: PIL.Image.Image, format_: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    what.save(buffer, format_, **options)
    return buffer.getvalue()


def segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


def exif_with(orientation: int = 1) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "ACME-CAMERA"
    exif[0x8825] = {1: "52.5200N"}
    return exif


def with_metadata(data: bytes) -> bytes:
    """Add everything that may say more than the picture, in front, between and behind."""
    thumbnail = b"JFIF\0\1\1\0\0\1\0\1" + bytes((2, 2)) + b"ACME-CAMERA!"
    front = (
        segment(0xE0, thumbnail)
        + segment(0xE0, b"JFXX\0" + sample_jpeg(16, 16))
        + segment(0xE1, exif_with().tobytes())
        + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>taken by me</x:xmpmeta>")
        + segment(0xE2, b"MPF\0taken by")
        + segment(0xED, b"Photoshop 3.0\0")
        + segment(0xFE, b"taken by me")
        + segment(0xEE, b"not from Adobe, taken by me")
    )
    return data[:2] + front + data[2:] + sample_jpeg(16, 16) + b"taken by me"


def frame(value: Any, **options: Any) -> Frame:
    return Frame(frame_id="frame-7", image=Image(value, **options))


def encode(value: Any, rules: EncodingRules = PLAIN, **options: Any) -> EncodedFrame:
    return encode_frame(frame(value, **options), Unlabelled(), rules)


def decode(data: bytes) -> PIL.Image.Image:
    with PIL.Image.open(io.BytesIO(data)) as opened:
        opened.load()
        return opened


KINDS = {
    "baseline": save(picture()),
    "progressive": save(picture(), progressive=True),
    "grey": save(picture("L")),
    "progressive grey": save(picture("L"), progressive=True),
    "4:4:4": save(picture(), subsampling=0),
    "4:2:2": save(picture(), subsampling=1),
    "restart markers": save(picture(), restart_marker_blocks=2),
    "own tables": save(picture(), optimize=True),
    "profile": save(picture(), icc_profile=b"some profile" * 6000),
    "worst quality": save(picture(), quality=30),
}


class TestPassThrough:
    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_a_clean_jpeg_stays_as_it_is_byte_for_byte(
        self, kind: str, loads: list[object]
    ) -> None:
        data = KINDS[kind]
        encoded = encode(data)

        assert data is encoded.image
        assert hashlib.sha256(data).hexdigest() == encoded.content_key
        assert (96, 64) == encoded.image_size == encoded.source_size
        assert loads == []

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_metadata_goes_and_the_pixels_are_the_very_same(self, kind: str) -> None:
        data = with_metadata(KINDS[kind])
        assert all(secret in data for secret in SECRETS)

        stored = encode(data).image

        assert [secret for secret in SECRETS if secret in stored] == []
        assert stored.endswith(b"\xff\xd9")
        assert decode(stored).getexif() == {}
        assert decode(stored).info.get("icc_profile") == decode(KINDS[kind]).info.get("icc_profile")
        np.testing.assert_array_equal(np.asarray(decode(KINDS[kind])), np.asarray(decode(stored)))

    def test_metadata_between_the_scans_goes_too(self) -> None:
        data = KINDS["progressive"]
        later, _ = _jpeg.read_scans(data, _jpeg.read_header(data))
        at = later[0].start
        noisy = data[:at] + segment(0xFE, b"taken by me") + data[at:]

        assert data == encode(noisy).image

    def test_an_adobe_segment_that_says_ycbcr_stays(self) -> None:
        data = KINDS["baseline"]
        adobe = segment(0xEE, b"Adobe" + bytes((0, 100, 0, 0, 0, 0, 1)))
        jfif = _jpeg.read_header(data).segments[0]
        marked = data[: jfif.start] + adobe + data[jfif.end :]

        assert marked == encode(marked).image

    def test_a_path_passes_through_as_bytes_do(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jpg"
        path.write_bytes(with_metadata(KINDS["baseline"]))

        stored = encode(path).image

        np.testing.assert_array_equal(
            np.asarray(decode(KINDS["baseline"])), np.asarray(decode(stored))
        )

    @pytest.mark.parametrize(
        "data",
        [
            save(picture("CMYK")),
            save(picture(), keep_rgb=True),
            KINDS["baseline"].replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc1\x00\x11\x08"),
        ],
        ids=["cmyk", "rgb", "extended"],
    )
    def test_other_jpegs_are_encoded_again(self, data: bytes) -> None:
        stored = encode(data).image

        assert strip_jpeg(data) is None
        header = _jpeg.read_header(stored)
        assert (header.frame_type, len(header.component_ids)) == (0xC0, 3)
        difference = np.abs(np.asarray(decode(stored)).astype(int) - decode(data).convert("RGB"))
        assert difference.mean() < 6

    @pytest.mark.parametrize("precision", [12, 16])
    def test_deeper_jpegs_may_not_pass(self, precision: int) -> None:
        data = KINDS["baseline"].replace(
            b"\xff\xc0\x00\x11\x08", bytes((255, 192, 0, 17, precision))
        )

        assert strip_jpeg(data) is None

    def test_a_short_jfif_segment_is_left_out(self) -> None:
        data = KINDS["baseline"]
        jfif = _jpeg.read_header(data).segments[0]
        short = data[:2] + segment(0xE0, b"JFIF\0\1") + data[jfif.end :]

        assert data[:2] + data[jfif.end :] == strip_jpeg(short)

    @pytest.mark.parametrize("verify", ["structure", "full"])
    def test_full_verification_finds_damage_that_the_structure_hides(
        self, verify: Any, loads: list[object]
    ) -> None:
        data = KINDS["baseline"]
        tables = next(e for e in _jpeg.read_header(data).segments if e.marker == 0xC4)
        hollow = data[: tables.body + 1] + b"\xff" * 16 + data[tables.body + 17 :]
        rules = EncodingRules(max_image_size=None, verify=verify)

        if verify == "structure":
            assert hollow == encode(hollow, rules).image
            assert loads == []
        else:
            with pytest.raises(ImageError, match=r"the image does not decode \(OSError: "):
                encode(hollow, rules)

    def test_full_verification_does_not_decode_twice(self, loads: list[object]) -> None:
        rules = EncodingRules(max_image_size=None, verify="full")
        image = Image(KINDS["baseline"])
        image.pixels()
        loads.clear()

        encode_frame(Frame(frame_id="a", image=image), Unlabelled(), rules)
        assert loads == []
        assert encode(KINDS["baseline"], rules).image == KINDS["baseline"]


@pytest.mark.usefixtures("codec")
class TestReencoding:
    @pytest.mark.parametrize(
        ("value", "options"),
        [
            (RGB, {"color": "rgb"}),
            (np.ascontiguousarray(RGB[:, :, ::-1]), {}),
            (RGB[:, :, ::-1], {}),
            (np.dstack([RGB[:, :, ::-1], RGB[:, :, :1]]), {}),
            (picture(), {}),
            (save(picture(), "PNG"), {}),
            (save(picture(), "WEBP", lossless=True), {}),
            (save(picture(), "BMP"), {}),
            (save(picture(), "TIFF"), {}),
            (save(picture().convert("RGBA"), "PNG"), {}),
        ],
        ids=["rgb", "bgr", "view", "bgra", "pil", "png", "webp", "bmp", "tiff", "rgba"],
    )
    def test_every_input_of_one_picture_gives_the_same_bytes(
        self, value: Any, options: dict[str, Any]
    ) -> None:
        expected = save(picture(), quality=95, subsampling="4:2:0")

        assert expected == encode(value, **options).image

    def test_grey_arrays_are_stored_with_three_channels(self) -> None:
        stored = encode(RGB[:, :, 0]).image

        assert decode(stored).mode == "RGB"

    def test_deep_and_palette_pngs_are_stored(self) -> None:
        deep = PIL.Image.fromarray(RGB[:, :, 0].astype(np.uint16) * 257)
        palette = picture().quantize(8)
        for what, options in ((deep, {}), (palette, {"transparency": bytes(8)})):
            assert encode(save(what, "PNG", **options)).image_size == (96, 64)

    @pytest.mark.parametrize("quality", [1, 50, 95, 100])
    def test_quality_is_the_configured_one(self, quality: int) -> None:
        rules = EncodingRules(max_image_size=None, jpeg_quality=quality)

        assert save(picture(), quality=quality) == encode(RGB, rules, color="rgb").image

    def test_nothing_but_the_picture_is_written(self) -> None:
        data = save(picture(), "PNG", exif=exif_with(), icc_profile=b"profile")
        rules = EncodingRules(max_image_size=(32, 32))

        for stored in (encode(data).image, encode(with_metadata(KINDS["profile"]), rules).image):
            assert {0xE0, 0xDB, 0xC0, 0xC4, 0xDA} == {
                entry.marker for entry in _jpeg.read_header(stored).segments
            }
            assert [secret for secret in SECRETS if secret in stored] == []

    def test_text_behind_the_pixels_of_a_png_is_not_written(self) -> None:
        data = save(picture(), "PNG")
        text = b"tEXtcomment\0taken by me"
        chunk = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")

        assert b"taken by" not in encode(data[:-12] + chunk + data[-12:]).image
        assert b"taken by" not in encode(data[:33] + chunk + data[33:]).image

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("limit", [None, (48, 48)])
    def test_orientation_is_applied(self, orientation: int, limit: Any) -> None:
        data = save(picture(), exif=exif_with(orientation), quality=95)
        expected = PIL.ImageOps.exif_transpose(decode(data))
        rules = EncodingRules(max_image_size=limit)

        encoded = encode(data, rules)

        assert expected.size == encoded.source_size
        assert scaled_size(*expected.size, limit) == encoded.image_size
        stored = decode(encoded.image)
        assert stored.size == encoded.image_size
        reference = np.asarray(expected.resize(stored.size, PIL.Image.Resampling.BILINEAR))
        assert np.abs(np.asarray(stored).astype(int) - reference).mean() < 5

    def test_the_frame_and_its_arrays_stay_as_they_are(self) -> None:
        array = RGB.copy()
        before = array.copy()
        pil = picture()
        pil.info["comment"] = b"mine"

        encode(array, EncodingRules(max_image_size=(20, 20)))
        encode(pil, EncodingRules(max_image_size=(20, 20)))

        np.testing.assert_array_equal(before, array)
        assert array.flags.writeable
        np.testing.assert_array_equal(RGB, np.asarray(pil))
        assert pil.info == {"comment": b"mine"}


class TestRefusals:
    @pytest.mark.parametrize("limit", [None, (20, 20)])
    @pytest.mark.parametrize("kind", ["baseline", "progressive", "restart markers", "grey"])
    def test_a_jpeg_cut_anywhere_is_called_truncated(self, kind: str, limit: Any) -> None:
        data = KINDS[kind]
        start = _jpeg.read_header(data).segments[-1].end
        rules = EncodingRules(max_image_size=limit)

        for cut in (*range(start, len(data), 97), len(data) - 1):
            with pytest.raises(
                ImageError,
                match=f"the image is truncated: after {cut} bytes there is no end-of-image marker,"
                " so wait until the file is complete",
            ) as caught:
                encode(data[:cut], rules)

            assert caught.value.frame_id == "frame-7"

    def test_a_jpeg_cut_inside_its_header_is_refused(self) -> None:
        data = KINDS["baseline"]
        for cut in range(3, _jpeg.read_header(data).segments[-1].end, 11):
            with pytest.raises(ImageError, match="the image is not a readable JPEG: "):
                encode(data[:cut])

    def test_a_file_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "half.jpg"
        path.write_bytes(KINDS["baseline"][:-9])

        with pytest.raises(ImageError, match=r"the image '.*half.jpg' is truncated: after"):
            encode(path)

    @pytest.mark.parametrize("format_", ["PNG", "WEBP", "BMP", "TIFF"])
    @pytest.mark.parametrize("limit", [None, (20, 20)])
    def test_other_formats_are_decoded_and_so_found_out(self, format_: str, limit: Any) -> None:
        data = save(picture(), format_)

        for share in (0.3, 0.6, 0.9):
            with pytest.raises(ImageError, match=r"does not decode|is not a readable"):
                encode(data[: int(len(data) * share)], EncodingRules(max_image_size=limit))

    def test_text_is_refused(self) -> None:
        with pytest.raises(ImageError, match="is not a picture that can be read") as caught:
            encode(b"dear diary")

        assert caught.value.frame_id == "frame-7"
