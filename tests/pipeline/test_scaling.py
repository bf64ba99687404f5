import io
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al_framework.pipeline.scaling import scale_array, scale_picture


def scene(width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return something with edges, waves and colours: RGB."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    waves = 127 + 80 * np.sin(x / 17.0) * np.cos(y / 23.0) + 40 * np.sin((x + y) / 5.0)
    channels = [waves, np.roll(waves, 40, axis=1), 255 - waves]
    pixels = np.stack(channels, axis=2).clip(0, 255).astype(np.uint8)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = (250, 10, 60)
    return pixels


def area_average(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> Any:
    """Return the exact average of the area that each new pixel covers."""

    def weights(length: int, count: int) -> npt.NDArray[np.float64]:
        starts = np.arange(count)[:, None] * length / count
        ends = starts + length / count
        cells = np.arange(length)[None, :]
        return np.clip(np.minimum(ends, cells + 1) - np.maximum(starts, cells), 0, None) * (
            count / length
        )

    height, width = pixels.shape[:2]
    down = np.tensordot(weights(height, size[1]), pixels.astype(float), axes=1)
    return np.tensordot(weights(width, size[0]), down, axes=(1, 1)).swapaxes(0, 1)


def psnr(pixels: Any, reference: Any) -> float:
    return 10 * np.log10(255**2 / np.mean((np.asarray(pixels).astype(float) - reference) ** 2))


# Decibels to be met by factor; whole ones are exact but for rounding. A triangle filter alone has
# 46 at 1.6 and 40 at 5.5, boxes alone 41 at 1.1.
FACTORS = {1.1: 53, 1.3: 52, 1.6: 51, 2: 57, 2.004: 49, 2.4: 51, 3: 57, 3.2: 50, 5.5: 44, 8: 57}


class TestScaling:
    @pytest.mark.parametrize("factor", FACTORS)
    def test_it_is_close_to_the_average_over_areas(self, factor: float) -> None:
        pixels = scene(960, 720)
        size = int(960 / factor), int(720 / factor)
        reference = area_average(pixels, size)

        for scaled in (
            scale_array(pixels, "RGB", size),
            scale_picture(PIL.Image.fromarray(pixels), size),
        ):
            assert size == scaled.size
            assert psnr(scaled, reference) > FACTORS[factor]

    @settings(deadline=None, derandomize=True, max_examples=50)
    @given(*[st.integers(1, 300)] * 4, st.integers(1, 4096))
    def test_an_array_in_bands_becomes_what_the_whole_picture_becomes(
        self, width: int, height: int, less_width: int, less_height: int, band_bytes: int
    ) -> None:
        size = max(1, width - less_width), max(1, height - less_height)
        pixels = scene(width, height)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("al_framework.pipeline.scaling._BAND_BYTES", band_bytes)
            scaled = scale_array(pixels, "RGB", size)

        whole = scale_picture(PIL.Image.fromarray(pixels), size)
        assert size == scaled.size
        np.testing.assert_array_equal(np.asarray(whole), np.asarray(scaled))

    @pytest.mark.parametrize("size", [(96, 64), (48, 32), (50, 33)])
    def test_both_orders_and_any_layout_give_one_picture(self, size: Any) -> None:
        rgb = scene(96, 64)
        expected = np.asarray(scale_array(rgb, "RGB", size))

        part_of_more = np.zeros((80, 120, 3), np.uint8)[8:72, 12:108]
        part_of_more[:] = rgb
        np.testing.assert_array_equal(expected, scale_array(rgb[:, :, ::-1], "BGR", size))
        np.testing.assert_array_equal(expected, scale_array(part_of_more, "RGB", size))

    def test_a_picture_of_that_size_is_returned_itself(self) -> None:
        picture = PIL.Image.fromarray(scene(96, 64))

        assert scale_picture(picture, (96, 64)) is picture

    def test_a_decoder_s_box_leaves_out_what_lies_beyond_the_edge(self) -> None:
        pixels = scene(960, 720)
        beyond = np.full((724, 968, 3), 255, np.uint8)
        beyond[:720, :960] = pixels

        scaled = scale_picture(PIL.Image.fromarray(beyond), (400, 300), (0, 0, 960, 720))

        assert psnr(scaled, area_average(pixels, (400, 300))) > 40

    def test_no_copy_of_a_large_array_is_spread_out_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes: list[tuple[int, int]] = []
        frombuffer = PIL.Image.frombuffer

        def noted(mode: str, size: tuple[int, int], *arguments: Any) -> Any:
            sizes.append(size)
            return frombuffer(mode, size, *arguments)

        monkeypatch.setattr(PIL.Image, "frombuffer", noted)
        scale_array(np.zeros((2160, 3840, 3), np.uint8), "BGR", (1920, 1080))

        assert 2160 == sum(height for _, height in sizes)
        assert 1024 * 1024 >= max(4 * width * height for width, height in sizes)


def test_a_jpeg_decoded_small_is_close_to_the_average_too() -> None:
    pixels = scene(961, 723)
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "JPEG", quality=100, subsampling=0)
    reference = area_average(pixels, (300, 225))
    with PIL.Image.open(buffer) as opened:
        drafted = opened.draft("RGB", (300, 225))
        assert drafted is not None
        scaled = scale_picture(opened, (300, 225), drafted[1])

    assert psnr(scaled, reference) > 36
