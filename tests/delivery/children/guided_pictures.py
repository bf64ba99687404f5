"""Guided fuzzing of what is offered as a picture."""

import contextlib
import io

import PIL.Image

from al_framework.api import Frame, Image, ImageError, Unlabelled
from al_framework.pipeline.encoding import EncodingRules, encode_frame
from al_framework.testing.fakes import sample_jpeg, sample_pixels


class Fuzzed:
    """Whatever bytes are offered as a picture, a JPEG is stored or it is an `ImageError`."""

    may_read = False
    words = (b"\xff\xd8\xff", b"\xff\xd9", b"\xff\xda", b"\xff\xc0", b"\xff\xc2", b"\xff\xe1")
    words += (b"Exif\0\0", b"JFIF\0", b"Adobe", b"ICC_PROFILE\0", b"IHDR", b"IDAT", b"iCCP")
    words += (b"zTXt", b"acTL", b"RIFF", b"WEBP", b"VP8X", b"VP8L", b"BM", b"II*\0", b"MM\0*")

    def __init__(self, root):
        self.seeds = [
            sample_jpeg(24, 16),
            self._encoded("JPEG", progressive=True, comment=b"x" * 40),
            self._encoded("JPEG", mode="L"),
            self._encoded("PNG"),
            self._encoded("WEBP"),
            self._encoded("WEBP", lossless=True),
            self._encoded("BMP"),
            self._encoded("TIFF", compression="tiff_lzw"),
        ]
        self._rules = [
            EncodingRules(max_image_size=(1000, 1000), verify=verify)
            for verify in ("structure", "full")
        ]

    def check(self, data):
        for rules in self._rules:
            with contextlib.suppress(ImageError):
                frame = Frame(frame_id="f", image=Image(data))
                stored = encode_frame(frame, Unlabelled(), rules).image

                assert stored.startswith(b"\xff\xd8")
                assert stored.endswith(b"\xff\xd9")

    @staticmethod
    def _encoded(format_, *, mode="RGB", **options):
        buffer = io.BytesIO()
        picture = PIL.Image.fromarray(sample_pixels(24, 16)).convert(mode)
        picture.save(buffer, format_, **options)
        return buffer.getvalue()
