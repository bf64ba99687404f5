"""No pixel is read of a frame that nobody takes, and of one that is taken none is read twice.

The first is seen by the processor: the pictures lie in pages that may not be read, in a child,
which dies of it and shows where. The second is counted, in pixels, at Pillow and at OpenCV.
"""

import ctypes
import functools
import hashlib
import io
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import PIL.Image
import PIL.ImageFile
import pytest

from al_framework.pipeline import encoding as encoding_module

VGA, UHD = (640, 480), (3840, 2160)
LONG_S = 60.0
CHILD = Path(__file__).with_name("children") / "unreadable.py"
FULL_HD = [1080, 1920]  # height first, as a configuration has it


@pytest.mark.skipif(
    sys.implementation.name != "cpython" or not hasattr(ctypes.CDLL(None), "mprotect"),
    reason="takes an object of CPython's for what it is, and POSIX to forbid a page",
)
@pytest.mark.parametrize("kind", ["jpeg", "array", "pil"])
def test_no_pixel_of_a_frame_is_read_that_is_not_taken(tmp_path, kind):
    ended = subprocess.run(
        [sys.executable, str(CHILD), kind, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )
    control, *told = ended.stdout.splitlines()

    assert control in {"control SIGSEGV", "control SIGBUS"}  # whoever reads dies
    assert ended.returncode == 0, f"after {told}:\n{ended.stderr}"
    assert Counter(told) == {
        f"{form} {status}": 3
        for form in ("typed", "document")
        for status in ("not_selected", "limited")
    }


@pytest.mark.parametrize("form", ["typed", "document"])
def test_a_file_is_not_opened_whose_frame_is_not_taken(collecting, prediction, tmp_path, form):
    missing = tmp_path / "missing.jpg"

    assert collecting("not_selected").submit(missing, prediction(form, VGA, 3)).status == (
        "not_selected"
    )


@pytest.fixture(params=[" by OpenCV", ""], ids=["opencv", "pillow"])
def arrays(request, monkeypatch):
    """With the extra ``fast``, and without it: who works on arrays."""
    if request.param:
        pytest.importorskip("cv2")
    else:
        monkeypatch.setattr(encoding_module, "load_opencv", lambda: None)
    return request.param


@pytest.fixture
def work(monkeypatch, arrays):
    """Count the pixels that each function works on."""
    counts = Counter()

    def watch(owner, name, size_of, key):
        plain = getattr(owner, name)

        @functools.wraps(plain)
        def counted(*arguments, **options):
            pixels = math.prod(size_of(*arguments))
            if pixels:
                counts[key] += pixels
            return plain(*arguments, **options)

        monkeypatch.setattr(owner, name, counted)

    image, file = PIL.Image.Image, PIL.ImageFile.ImageFile
    watch(file, "load", lambda picture: picture.size if picture.tile else (0,), "decoded")
    watch(image, "save", lambda picture, *_: picture.size, "encoded")
    watch(image, "reduce", lambda picture, *_: picture.size, "scaled")
    watch(image, "resize", lambda picture, *_: picture.size, "scaled")
    if arrays:
        import cv2

        watch(cv2, "imdecode", lambda data, *_: data.shape, "decoded by OpenCV")
        watch(cv2, "imencode", lambda _, pixels, *__: pixels.shape[:2], "encoded by OpenCV")
        watch(cv2, "resize", lambda pixels, *_: pixels.shape[:2], "scaled by OpenCV")
    return counts


@pytest.fixture
def taking(collecting, picture, work):
    """Take one picture, of a kind and size, scaled into a limit."""

    def take(kind, size, limit):
        image = picture(kind, size)
        collector = collecting("queued", max_image_size=limit)
        work.clear()
        collector.submit(image)
        assert collector.flush(LONG_S)
        assert collector.stats().accepted == 1
        return work

    return take


@pytest.mark.parametrize("status", ["not_selected", "limited"])
def test_nothing_is_decoded_of_a_frame_that_is_not_taken(
    collecting, picture, prediction, work, status
):
    collector = collecting(status)
    encoded = [picture(kind, UHD) for kind in ("jpeg", "png")]
    opened = [PIL.Image.open(io.BytesIO(data)) for data in encoded]
    work.clear()
    for image in (*encoded, *opened):
        assert collector.submit(image, prediction("document", UHD, 3)).status == status

    assert work == {}


# What is given, what it is scaled into, and how many pixels each step has to look at: of arrays
# and PIL images OpenCV, where it is there.
@pytest.mark.parametrize(
    ("given", "limit", "steps"),
    [
        (("jpeg", VGA), None, {}),
        (("jpeg", UHD), FULL_HD, {"decoded": (1920, 1080), "encoded": (1920, 1080)}),
        (
            *(("jpeg", UHD), [640, 640]),
            {"decoded": (960, 540), "scaled": (960, 540), "encoded": (640, 360)},
        ),
        (("png", VGA), None, {"decoded": VGA, "encoded": VGA}),
        (("array", VGA), None, {"encoded{}": VGA}),
        (("array", UHD), FULL_HD, {"scaled{}": UHD, "encoded{}": (1920, 1080)}),
        (("pil", VGA), None, {"encoded{}": VGA}),
        (("pil", UHD), FULL_HD, {"scaled{}": UHD, "encoded{}": (1920, 1080)}),
    ],
)
def test_no_pixel_is_worked_on_twice(taking, arrays, given, limit, steps):
    work = taking(*given, limit)

    assert work == {step.format(arrays): math.prod(size) for step, size in steps.items()}


def test_a_picture_is_hashed_once_on_its_way_in_and_once_on_its_way_out(
    collecting, picture, monkeypatch
):
    data, lengths, plain = picture("jpeg", UHD), [], hashlib.sha256

    def counted(data=b"", **options):
        lengths.append(len(data))
        return plain(data, **options)

    monkeypatch.setattr(hashlib, "sha256", counted)
    collector = collecting("queued")
    collector.submit(data)
    assert collector.flush(LONG_S)
    collector.close(LONG_S)

    assert [len(data)] * 2 == [length for length in lengths if length >= len(data)]
