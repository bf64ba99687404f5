import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import PIL.JpegImagePlugin
import pytest

from al_framework.api import Frame, Image, ImageError, Unlabelled
from al_framework.pipeline.encoding import EncodingRules, encode_frame
from al_framework.pipeline.opencv import OpenCV, load_opencv
from al_framework.testing.fakes import sample_pixels

HALF = EncodingRules(max_image_size=(32, 48))

ENDS_WHILE_IT_ENCODES = """
import threading
import numpy as np
from al_framework.pipeline.opencv import load_opencv

pixels = np.zeros((1080, 1920, 3), np.uint8)
encoded = threading.Event()

def encode():
    while load_opencv().encode(pixels, "BGR", (960, 540), 95) is not None:
        encoded.set()

threading.Thread(target=encode, daemon=True).start()
encoded.wait(60)
"""


@pytest.fixture
def opencv() -> OpenCV:
    return OpenCV(pytest.importorskip("cv2"))


@pytest.fixture
def look_again() -> Iterator[None]:
    """Let OpenCV be looked for again, in the test and after it."""
    load_opencv.cache_clear()
    yield
    load_opencv.cache_clear()


def encode(array: Any, rules: EncodingRules = HALF, **options: Any) -> bytes:
    frame = Frame(frame_id="frame-7", image=Image(array, **options))
    return encode_frame(frame, Unlabelled(), rules).image


def decode(data: bytes) -> PIL.Image.Image:
    with PIL.Image.open(io.BytesIO(data)) as opened:
        opened.load()
        return opened


class TestWithIt:
    @pytest.mark.parametrize("size", [(96, 64), (48, 32), (31, 21), (95, 63)])
    @pytest.mark.parametrize("order", ["BGR", "RGB"])
    def test_a_picture_is_scaled_by_averaging_and_keeps_its_colours(
        self, opencv: OpenCV, size: tuple[int, int], order: Any
    ) -> None:
        pixels = np.ascontiguousarray(sample_pixels(96, 64))
        rgb = pixels if order == "RGB" else pixels[:, :, ::-1]
        expected = PIL.Image.fromarray(np.ascontiguousarray(rgb)).resize(
            size, PIL.Image.Resampling.BOX
        )

        data = opencv.encode(pixels, order, size, 100)

        assert data is not None
        assert size == decode(data).size
        difference = np.abs(np.asarray(decode(data)).astype(int) - np.asarray(expected))
        assert difference.mean() < 4

    @pytest.mark.parametrize("factor", [2, 3, 4, 6])
    def test_whole_factors_are_exact_but_for_rounding(
        self, opencv: OpenCV, factor: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cv2 = opencv._cv2
        pixels = np.random.default_rng(7).integers(0, 256, (96, 192, 3), np.uint8)
        size = 192 // factor, 96 // factor
        encoded: list[Any] = []
        imencode = cv2.imencode
        monkeypatch.setattr(
            cv2, "imencode", lambda *given: encoded.append(given[1]) or imencode(*given)
        )

        opencv.encode(pixels, "BGR", size, 95)

        expected = cv2.resize(pixels.astype(np.float64), size, interpolation=cv2.INTER_AREA)
        assert 1 >= np.abs(encoded[0] - expected).max()

    def test_halving_stays_on_the_thread_that_gives_way(
        self, opencv: OpenCV, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """OpenCV gives a strip to its pool only if it has more than 65,536 pixels."""
        cv2 = opencv._cv2
        pixels = np.random.default_rng(7).integers(0, 256, (722, 1280, 3), np.uint8)
        whole = cv2.resize(pixels, (640, 361), interpolation=cv2.INTER_AREA)
        sizes: list[int] = []
        resize = cv2.resize

        def watched(source: Any, size: tuple[int, int], *rest: Any, **options: Any) -> Any:
            sizes.append(size[0] * size[1])
            return resize(source, size, *rest, **options)

        monkeypatch.setattr(cv2, "resize", watched)
        halved = opencv._halved(pixels)

        np.testing.assert_array_equal(whole, halved)
        assert len(sizes) == 4
        assert max(sizes) <= 65_536

    def test_stripes_become_grey(self, opencv: OpenCV) -> None:
        stripes = np.zeros((300, 300, 3), np.uint8)
        stripes[:, ::2] = 255

        data = opencv.encode(stripes, "BGR", (50, 50), 95)

        assert data is not None
        np.testing.assert_allclose(np.asarray(decode(data)), 127.5, atol=4)

    def test_the_array_is_only_read(self, opencv: OpenCV) -> None:
        pixels = np.ascontiguousarray(sample_pixels(96, 64))
        before = pixels.copy()
        pixels.setflags(write=False)

        for size in ((96, 64), (48, 32)):
            for order in ("BGR", "RGB"):
                opencv.encode(pixels, order, size, 95)  # type: ignore[arg-type]  # one of both

        np.testing.assert_array_equal(before, pixels)

    def test_chroma_is_halved_and_no_metadata_are_written(self, opencv: OpenCV) -> None:
        data = opencv.encode(np.ascontiguousarray(sample_pixels(96, 64)), "BGR", (96, 64), 95)

        assert data is not None
        assert 2 == PIL.JpegImagePlugin.get_sampling(decode(data))
        assert {"jfif", "jfif_version", "jfif_unit", "jfif_density"} == set(decode(data).info)

    def test_frames_of_arrays_go_through_it(self, look_again: None) -> None:
        pytest.importorskip("cv2")
        calls = []

        class Watched(OpenCV):
            def encode(self, *arguments: Any) -> bytes | None:
                calls.append(arguments[1:])
                return super().encode(*arguments)

        pixels = np.ascontiguousarray(sample_pixels(96, 64))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("al_framework.pipeline.opencv.OpenCV", Watched)
            encode(pixels)
            encode(pixels, color="rgb")
            encode(pixels[:, ::-1])

        assert [(order, (48, 32), 95) for order in ("BGR", "RGB", "BGR")] == calls

    @pytest.mark.filterwarnings("ignore")
    def test_what_it_refuses_is_no_picture(self, opencv: OpenCV) -> None:
        with pytest.raises(ValueError, match="OpenCV does not encode it"):
            opencv.encode(np.zeros((1, 65501, 3), np.uint8), "BGR", (65501, 1), 95)

    def test_its_refusal_is_the_frame_s_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        refusing = OpenCV(_FakeCv2(imencode=lambda *_: (False, ())))
        monkeypatch.setattr("al_framework.pipeline.encoding.load_opencv", lambda: refusing)

        with pytest.raises(ImageError, match="OpenCV does not encode it") as caught:
            encode(sample_pixels(96, 64), EncodingRules(max_image_size=None))

        assert caught.value.frame_id == "frame-7"


class TestWithoutIt:
    def test_pillow_encodes(self, look_again: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cv2", None)

        assert load_opencv() is None
        assert (48, 32) == decode(encode(sample_pixels(96, 64))).size

    @pytest.mark.parametrize(
        ("source", "seen"),
        [
            (
                "raise ImportError('libGL.so.1: no such file')",
                "does not load (ImportError: libGL.so.1: no such file)",
            ),
            (
                "raise AttributeError('no DictValue')",  # files of two versions in one directory
                "does not load (AttributeError: no DictValue)",
            ),
            ("", "lacks resize"),
            (
                (
                    "def __getattr__(name):\n"
                    "    if 'SAMPLING' in name or name == '__path__': raise AttributeError(name)\n"
                    "    return 1"
                ),
                "lacks IMWRITE_JPEG_SAMPLING_FACTOR",
            ),
        ],
    )
    def test_one_that_is_of_no_use_is_told_of_once(
        self,
        look_again: None,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        *,
        source: str,
        seen: str,
    ) -> None:
        (tmp_path / "cv2.py").write_text(source)
        monkeypatch.delitem(sys.modules, "cv2", raising=False)
        monkeypatch.syspath_prepend(tmp_path)

        sizes = {decode(encode(sample_pixels(96, 64))).size for _ in range(3)}

        assert {(48, 32)} == sizes
        [message] = [record.getMessage() for record in caplog.records]
        assert message == (
            f"OpenCV is installed but {seen}, so pictures are scaled and encoded by Pillow:"
            " install opencv-python-headless>=4.10 in its place"
        )


class TestTheEnd:
    def test_a_process_that_ends_while_a_thread_encodes_ends_well(self) -> None:
        pytest.importorskip("cv2")
        done = subprocess.run(
            [sys.executable, "-c", ENDS_WHILE_IT_ENCODES],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

        assert (0, "") == (done.returncode, done.stderr)

    def test_it_waits_for_who_is_in_and_lets_nobody_in_again(self) -> None:
        inside, leave, ended = threading.Event(), threading.Event(), threading.Event()

        def imencode(*_: Any) -> Any:
            inside.set()
            assert leave.wait(30)
            return True, np.zeros(3, np.uint8)

        opencv = OpenCV(_FakeCv2(imencode=imencode))
        pixels = np.zeros((8, 8, 3), np.uint8)
        results: list[bytes | None] = []

        def end() -> None:
            opencv._end()
            ended.set()

        threads = [
            threading.Thread(target=lambda: results.append(_encode_with(opencv, pixels))),
            threading.Thread(target=end),
        ]
        threads[0].start()
        assert inside.wait(30)
        threads[1].start()
        while not opencv._ending:
            pass
        early = ended.is_set()
        leave.set()
        for thread in threads:
            thread.join(30)

        assert not early
        assert ended.is_set()
        assert [bytes(3)] == results
        assert _encode_with(opencv, pixels) is None

    def test_pillow_encodes_what_comes_after_the_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        opencv = OpenCV(_FakeCv2())
        monkeypatch.setattr("al_framework.pipeline.encoding.load_opencv", lambda: opencv)
        opencv._end()

        assert (48, 32) == decode(encode(sample_pixels(96, 64))).size

    def test_a_child_does_not_wait_for_threads_that_it_has_not(self) -> None:
        opencv = OpenCV(_FakeCv2())
        opencv._inside = 1  # a thread of the parent, at the moment of the fork

        opencv.after_fork()

        assert 0 == opencv._inside


def _encode_with(opencv: OpenCV, pixels: Any) -> bytes | None:
    return opencv.encode(pixels, "BGR", (8, 8), 95)


class _FakeCv2(SimpleNamespace):
    """The names that are looked up, and what a test brings along."""

    IMWRITE_JPEG_QUALITY = 1
    IMWRITE_JPEG_SAMPLING_FACTOR = 2
    IMWRITE_JPEG_SAMPLING_FACTOR_420 = 3
