"""Encoding lets other threads run, with a file in memory or without one."""

import io
import os
import sys
from typing import Any

import PIL.Image
import pytest

from al_framework.api import Frame, Image, Unlabelled
from al_framework.pipeline.encoding import EncodedFrame, EncodingRules, encode_frame
from al_framework.testing.fakes import sample_pixels


def encode(value: Any) -> EncodedFrame:
    frame = Frame(frame_id="frame-7", image=Image(value))
    return encode_frame(frame, Unlabelled(), EncodingRules(max_image_size=None))


def decode(data: bytes) -> PIL.Image.Image:
    with PIL.Image.open(io.BytesIO(data)) as opened:
        opened.load()
        return opened


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere pictures go into a BytesIO")
class TestInterpreter:
    """Pillow holds the interpreter while it encodes, except into a file that the system knows."""

    @pytest.fixture
    def into(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """How Pillow was told to encode."""
        ways: list[str] = []
        getencoder = PIL.Image._getencoder  # type: ignore[attr-defined]  # the one place it has

        class Watched:
            def __init__(self, encoder: Any) -> None:
                self._encoder = encoder

            def __getattr__(self, name: str) -> Any:
                if name in {"encode", "encode_to_file"}:
                    ways.append(name)
                return getattr(self._encoder, name)

        monkeypatch.setattr(
            PIL.Image, "_getencoder", lambda *arguments: Watched(getencoder(*arguments))
        )
        monkeypatch.setattr("al_framework.pipeline.encoding.load_opencv", lambda: None)
        return ways

    def test_other_threads_run_while_a_picture_is_encoded(self, into: list[str]) -> None:
        stored = encode(sample_pixels(640, 480)).image

        assert ["encode_to_file"] == into
        assert (640, 480) == decode(stored).size

    def test_a_file_that_may_not_grow_is_done_without(
        self, into: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "memfd_create", lambda _: os.open("/dev/full", os.O_RDWR))

        stored = encode(sample_pixels(640, 480)).image

        assert ["encode_to_file", "encode"] == into[:2]
        assert (640, 480) == decode(stored).size

    def test_a_system_that_gives_no_such_file_is_done_without_it(
        self, into: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = encode(sample_pixels(640, 480)).image
        into.clear()

        def refuse(_: str) -> int:
            raise PermissionError(1, "not in this sandbox")

        monkeypatch.setattr(os, "memfd_create", refuse)

        assert expected == encode(sample_pixels(640, 480)).image
        assert {"encode"} == set(into)
