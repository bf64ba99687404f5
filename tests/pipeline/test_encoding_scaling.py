"""A picture is stored no larger than configured, and its prediction is scaled with it."""

import io
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al_framework.api import Detections, Frame, Image, PredictionError, Unlabelled
from al_framework.pipeline.encoding import EncodedFrame, EncodingRules, encode_frame, scaled_size
from al_framework.testing.fakes import sample_jpeg, sample_pixels

PLAIN = EncodingRules(max_image_size=None)
RGB = np.ascontiguousarray(sample_pixels(96, 64)[:, :, ::-1])


def save(what: PIL.Image.Image, format_: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    what.save(buffer, format_, **options)
    return buffer.getvalue()


def frame(value: Any) -> Frame:
    return Frame(frame_id="frame-7", image=Image(value))


def detections(size: tuple[int, int], boxes: Any = ((0.25, 0.25, 0.5, 0.5),)) -> Detections:
    xyxy = np.asarray(boxes) * np.tile(size, 2)
    return Detections(
        xyxy=xyxy,
        confidence=np.full(len(xyxy), 0.5),
        class_name=("thing",) * len(xyxy),
        image_size=size,
    )


def encode(value: Any, rules: EncodingRules) -> EncodedFrame:
    return encode_frame(frame(value), Unlabelled(), rules)


def decode(data: bytes) -> PIL.Image.Image:
    with PIL.Image.open(io.BytesIO(data)) as opened:
        opened.load()
        return opened


@pytest.mark.usefixtures("codec")
class TestScaling:
    @pytest.mark.parametrize(
        ("size", "limit", "expected"),
        [
            ((4000, 1080), (2080, 2080), (2080, 561)),
            ((641, 480), (100, 100), (100, 74)),
            ((500, 333), (200, 200), (200, 133)),
            ((100, 101), (100, 100), (99, 100)),
            ((4000, 5), (100, 100), (100, 1)),
            ((5, 4000), (100, 100), (1, 100)),
            ((640, 480), None, (640, 480)),
            ((640, 480), (480, 640), (640, 480)),
        ],
    )
    def test_size_follows_roboflow(self, size: Any, limit: Any, expected: Any) -> None:
        assert expected == scaled_size(*size, limit)

    @settings(deadline=None, derandomize=True)
    @given(*[st.integers(1, 10_000)] * 4)
    def test_a_size_never_grows_never_vanishes_and_never_exceeds(
        self, width: int, height: int, max_height: int, max_width: int
    ) -> None:
        new_width, new_height = scaled_size(width, height, (max_height, max_width))

        assert 1 <= new_width <= min(width, max_width)
        assert 1 <= new_height <= min(height, max_height)

    @pytest.mark.parametrize("size", [(640, 480), (641, 479), (333, 777), (1, 900), (900, 1)])
    @pytest.mark.parametrize("limit", [(240, 320), (100, 100), (33, 77), (1, 1)])
    def test_jpeg_png_and_array_are_stored_at_the_exact_size(self, size: Any, limit: Any) -> None:
        rules = EncodingRules(max_image_size=limit)
        array = sample_pixels(*size)
        rgb = PIL.Image.fromarray(np.ascontiguousarray(array[:, :, ::-1]))
        expected = scaled_size(*size, limit)

        for value in (array, save(rgb), save(rgb, "PNG")):
            encoded = encode(value, rules)

            assert expected == encoded.image_size == decode(encoded.image).size

    @pytest.mark.parametrize("limit", [(1080, 1920), (540, 960), (300, 300), (1000, 1777)])
    def test_scaled_decoding_looks_like_decoding_and_scaling(self, limit: Any) -> None:
        data = save(PIL.Image.fromarray(RGB).resize((3841, 2161)), quality=95)
        encoded = encode(data, EncodingRules(max_image_size=limit))

        reference = decode(data).resize(encoded.image_size, PIL.Image.Resampling.LANCZOS)
        difference = np.abs(np.asarray(decode(encoded.image)).astype(int) - reference)

        assert encoded.image_size == scaled_size(3841, 2161, limit)
        assert difference.mean() < 2

    @pytest.mark.parametrize(
        ("orientation", "limit", "decoded"),
        [
            (1, (1080, 1920), (1920, 1080)),
            (1, (640, 640), (960, 540)),
            (1, (1081, 1921), (3840, 2160)),
            (6, (1920, 1080), (1920, 1080)),
        ],
    )
    def test_a_jpeg_is_decoded_no_larger_than_it_has_to_be(
        self, loads: list[Any], orientation: int, limit: Any, decoded: Any
    ) -> None:
        exif = PIL.Image.Exif()
        exif[0x0112] = orientation
        data = save(PIL.Image.new("RGB", (3840, 2160)), exif=exif)
        encode(data, EncodingRules(max_image_size=limit))

        assert {decoded} == {entry.size for entry in loads}

    def test_scaling_averages_all_pixels_and_does_not_alias(self) -> None:
        stripes = np.zeros((300, 300, 3), np.uint8)
        stripes[:, ::2] = 255

        stored = decode(encode(stripes, EncodingRules(max_image_size=(50, 50))).image)

        np.testing.assert_allclose(np.asarray(stored)[5:-5, 5:-5], 127.5, atol=4)

    def test_decoded_pixels_are_used_and_not_decoded_again(self, loads: list[object]) -> None:
        image = Image(sample_jpeg(640, 480))
        image.pixels()
        loads.clear()

        encoded = encode_frame(
            Frame(frame_id="a", image=image), Unlabelled(), EncodingRules(max_image_size=(99, 99))
        )

        assert encoded.image_size == (99, 74)
        assert {type(entry).__name__ for entry in loads} <= {"Image"}

    def test_encoding_does_not_keep_decoded_pixels(self) -> None:
        image = Image(sample_jpeg(640, 480))

        encode_frame(
            Frame(frame_id="a", image=image), Unlabelled(), EncodingRules(max_image_size=(99, 99))
        )

        assert not image.decoded


class TestPrediction:
    def test_it_comes_in_pixels_of_the_stored_picture(self) -> None:
        prediction = detections((641, 480))
        encoded = encode_frame(
            frame(sample_jpeg(641, 480)), prediction, EncodingRules(max_image_size=(100, 100))
        )

        assert isinstance(encoded.prediction, Detections)
        assert (encoded.source_size, encoded.image_size) == ((641, 480), (100, 74))
        assert encoded.prediction.image_size == (100, 74)
        np.testing.assert_allclose(encoded.prediction.xyxy, [[25, 18.5, 50, 37]])

    def test_it_may_refer_to_another_resolution_of_the_picture(self) -> None:
        prediction = detections((320, 240))
        encoded = encode_frame(frame(sample_jpeg(640, 480)), prediction, PLAIN)

        assert isinstance(encoded.prediction, Detections)
        assert (encoded.prediction.image_size, encoded.image_size) == ((640, 480), (640, 480))
        np.testing.assert_allclose(encoded.prediction.xyxy, [[160, 120, 320, 240]])

    def test_it_is_refused_before_a_pixel_is_read(self, loads: list[object]) -> None:
        with pytest.raises(PredictionError, match="wholly outside the picture of 64x48") as caught:
            encode_frame(frame(sample_jpeg()), detections((64, 48), [[2.0, 2.0, 3.0, 3.0]]), PLAIN)

        assert caught.value.frame_id == "frame-7"
        assert loads == []
