"""Our side of an accepted frame, up to its HTTP requests, which are answered at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from pydantic import SecretStr

from al_framework.api import Datapoint, Frame, Image
from al_framework.api.http import HttpClient, HttpReply, Scrubber, Wording
from al_framework.assembly import assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost
from al_framework.pipeline import encoding
from al_framework.pipeline.offers import Ended
from al_framework.testing import FakeCheckpoint, make_context
from al_framework_roboflow.sink import RoboflowSink, RoboflowSinkOptions
from benchmarks.comparing import Cost, here

_DONE = b'{"success": true, "id": "benchmark"}'  # to the upload and to the annotation
_WORDING, _NOTHING_SECRET = Wording(), Scrubber(())


class DryRun:
    """The side that makes requests of frames, and neither keeps nor sends any.

    Args:
        document: The Active Learning document.
        picture: The frame's picture.
        answer: The frame's prediction.
        fast: Whether with the extra ``fast``.
    """

    def __init__(
        self, document: dict[str, Any], picture: Any, answer: dict[str, Any], *, fast: bool
    ) -> None:
        host = PluginHost.discover()
        configuration = {
            "name": "benchmark",
            "adapter": {"type": "roboflow_response"},
            "active_learning": document,
            "sinks": [{"type": "null"}],
        }
        checked = load_configuration(read_document(configuration), host)
        self._engine = assemble(checked, host, dry_run=True, background=False).engine
        options = RoboflowSinkOptions(api_key=SecretStr("benchmark"), project="benchmark")
        self._sink = RoboflowSink(options, make_context(Path()))
        self._picture, self._answer, self._fast = picture, answer, fast

    def __call__(self, calls: int) -> Cost:
        """Make so many calls and tell what they cost together."""
        with codec(fast=self._fast), mock.patch.object(HttpClient, "send", _answered):
            return here(self._send)(calls)

    def image(self) -> bytes:
        """Return the picture that would be sent."""
        with codec(fast=self._fast):
            return self._take().image

    def _send(self) -> None:
        self._sink.deliver(self._take(), FakeCheckpoint())

    def _take(self) -> Datapoint:
        engine = self._engine
        [offer] = engine.offer(Frame(frame_id="frame", image=Image(self._picture)), self._answer)
        if offer.pending is None:
            raise RuntimeError(f"the frame was not taken: {offer}")
        candidate = engine.prepare(offer.pending)
        if isinstance(candidate, Ended):
            raise RuntimeError(f"the frame was not encoded: {candidate}")  # noqa: TRY004 - no type was asked for
        [result] = engine.accept([candidate])
        return candidate.compose(result.strategy or "")


def _answered(_: HttpClient, method: str, url: str, **others: object) -> HttpReply:
    """Stand where a request is made."""
    del others
    return HttpReply(
        asked=f"{method} {url}",
        status=200,
        headers={},
        content=_DONE,
        scrub=_NOTHING_SECRET,
        wording=_WORDING,
    )


@contextmanager
def codec(*, fast: bool) -> Iterator[None]:
    """Encode arrays with the extra ``fast``, or as if it were not installed."""
    if fast:
        yield
        return
    with mock.patch.object(encoding, "load_opencv", return_value=None):
        yield
