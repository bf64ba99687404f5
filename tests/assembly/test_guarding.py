import asyncio
import logging
import traceback

import pytest

from al_framework.api import (
    ConfigurationError,
    Fault,
    LeaseLostError,
    PermanentSinkError,
    Receipt,
    SinkPausedError,
    SpoolError,
    TransientSinkError,
)
from al_framework.assembly.guarding import Guarded, guarded, guarded_delivery, masked_error
from al_framework.assembly.masking import Mask

KEY = "cAn4ry-5ecret-value"
MASK = Mask([KEY])


def everything(exc):
    """All that a handler can print of an error, its chain and its frames' variables included."""
    texts = traceback.TracebackException.from_exception(exc, capture_locals=True).format()
    return "".join(texts) + repr(vars(exc)) + repr(exc.args)


def raised(function, *args):
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is, it is looked at
        function(*args)
    return caught.value


def failing(exc):
    def fail(*args):
        url = f"https://x/?key={KEY}"
        try:
            raise ValueError(url)
        except ValueError as cause:
            raise exc from cause

    return fail


@pytest.mark.parametrize("kind", [TransientSinkError, PermanentSinkError, SinkPausedError])
def test_an_error_of_a_sink_keeps_its_class_and_loses_its_chain(kind):
    error = raised(guarded(failing(kind(f"refused {KEY}")), MASK))

    assert type(error) is kind
    assert str(error) == "refused ***"
    assert error.__cause__ is None
    assert error.__context__ is None
    assert KEY not in everything(error)


def test_the_wait_that_a_sink_asks_for_stays():
    error = raised(guarded(failing(TransientSinkError(KEY, retry_after_s=3.0)), MASK))

    assert error.retry_after_s == 3.0


class OddError(TransientSinkError):
    def __init__(self, response, code):
        super().__init__("odd")
        self.response, self.code = response, code

    def __str__(self):
        return f"odd: {self.response['url']} {self.code}"


def test_a_plugins_own_error_that_cannot_be_copied_becomes_the_cores():
    error = raised(guarded(failing(OddError({"url": KEY}, 7)), MASK))

    assert type(error) is TransientSinkError
    assert (str(error), error.code, error.response) == ("odd: *** 7", 7, None)
    assert KEY not in everything(error)


def test_faults_of_a_configuration_stay_faults():
    given = ConfigurationError([Fault(path="a", message=f"is {KEY}")])
    error = masked_error(given, MASK)

    assert error.faults == (Fault(path="a", message="is ***"),)
    assert KEY not in everything(error)


@pytest.mark.parametrize(
    ("given", "base"),
    [
        (RuntimeError(KEY), Exception),
        (ConnectionError(f"to {KEY}"), OSError),
        (SystemExit(KEY), SystemExit),
        (asyncio.CancelledError(KEY), asyncio.CancelledError),
    ],
)
def test_any_other_error_keeps_its_name_and_its_traceback_as_text(given, base):
    error = raised(guarded(failing(given), MASK))

    assert type(error).__name__ == type(given).__name__
    assert isinstance(error, base)
    assert "in fail\n" in error.__notes__[0]
    assert KEY not in everything(error)
    assert type(error) is type(masked_error(given, MASK))


def test_an_error_that_cannot_say_what_it_is_does_no_harm():
    class MuteError(Exception):
        def __str__(self):
            raise RuntimeError(KEY)

    error = raised(guarded(failing(MuteError()), MASK))

    assert str(error) == "its text cannot be told (RuntimeError)"
    assert KEY not in everything(error)


@pytest.mark.parametrize("error", [LeaseLostError("gone"), SpoolError("disk")])
def test_what_the_core_raises_passes_through(error):
    assert raised(guarded(failing(error), MASK)) is error


def test_without_secrets_nothing_is_touched():
    error, function = ValueError("x"), failing(ValueError("x"))

    assert masked_error(error, Mask([])) is error
    assert guarded(function, Mask([])) is function
    assert guarded_delivery(function, Mask([])) is function


@pytest.mark.parametrize(
    ("receipt", "masked"),
    [
        (Receipt(status="created"), Receipt(status="created")),
        (
            Receipt(status="created", remote_id=f"id-{KEY}", url=f"https://x/?key={KEY}"),
            Receipt(status="created", remote_id="id-***", url="https://x/?key=***"),
        ),
        (Receipt(status="created", remote_id=5), Receipt(status="created", remote_id=5)),
        ({"key": KEY}, "{'key': '***'}"),
    ],
)
def test_a_receipt_holds_no_secret(receipt, masked):
    assert masked == guarded_delivery(lambda datapoint, checkpoint: receipt, MASK)(None, None)


class Camera:
    name = "cam"

    @property
    def location(self):
        raise RuntimeError(f"rtsp://{KEY}@cam")

    def frames(self, skip):
        yield "one"
        raise RuntimeError(f"rtsp://{KEY}@cam")

    def predict(self, frame):
        raise RuntimeError(KEY)


def test_a_guarded_component_yields_its_frames_and_raises_without_secrets():
    camera = Guarded(Camera(), MASK)
    frames = camera.frames(None)

    assert camera.name == "cam"
    assert next(frames) == "one"
    for error in (
        raised(next, frames),
        raised(camera.predict, "one"),
        raised(getattr, camera, "location"),
    ):
        assert type(error).__name__ == "RuntimeError"
        assert KEY not in everything(error)


def test_a_guarded_source_that_ends_ends():
    class Empty:
        def frames(self, skip):
            return iter(())

    assert list(Guarded(Empty(), MASK).frames(None)) == []


def test_logging_a_masked_error_shows_where_it_came_from(caplog):
    error = raised(guarded(failing(RuntimeError(KEY)), MASK))
    logging.getLogger("test").error("failed", exc_info=error)

    assert "in fail\n" in caplog.text
    assert KEY not in caplog.text
