"""Call components so that nothing they raise shows a secret of the configuration.

What a component raises ends up in logs, in the spool, in summaries and in tracebacks that somebody
prints with the variables of every frame. So an error is not cleaned but replaced, where the
configuration holds secrets at all: by one of the same kind that has a masked text, no chain, and no
frames of the component. The traceback of an error that nobody expected goes along as text.
"""

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, ParamSpec, TypeVar, cast

from al_framework.api import (
    AlFrameworkError,
    Checkpoint,
    Datapoint,
    Fault,
    LeaseLostError,
    Receipt,
    SpoolError,
)
from al_framework.api._faults import plugin_errors, text_of
from al_framework.assembly.masking import Mask

_P = ParamSpec("_P")
_T = TypeVar("_T")
# Raised by the core on its way through a component; what drives the component looks for them.
_OURS = (LeaseLostError, SpoolError)
_END: Any = object()


def masked_error(exc: BaseException, mask: Mask) -> BaseException:
    """Return what to raise or log in place of an error.

    Args:
        exc: The error; one of `AlFrameworkError`, plugins' own included, keeps its class and its
            plain attributes. Any other keeps the name of its class.
        mask: Knows the secrets; one that knows none returns the error itself.
    """
    if not mask:
        return exc
    if isinstance(exc, AlFrameworkError):
        return _copy(exc, mask)
    bases: tuple[Any, ...] = (OSError, *plugin_errors())  # mypy: a type has no hash
    base = next((base for base in bases if isinstance(exc, base)), BaseException)
    stand_in = _class_named(type(exc).__name__, base)(mask(text_of(exc)))
    stand_in.add_note(mask("".join(traceback.format_exception(exc)).rstrip()))
    return stand_in


def guarded(function: Callable[_P, _T], mask: Mask) -> Callable[_P, _T]:
    """Return the function, raising errors without secrets."""
    if not mask:
        return function

    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return function(*args, **kwargs)
        except _OURS:
            raise
        except plugin_errors() as exc:  # a plugin boundary: raised again, masked
            error = masked_error(exc, mask)
        # Not above: an error raised there would hold on to the first one as its context.
        raise error

    return call


def guarded_delivery(
    deliver: Callable[[Datapoint, Checkpoint], Receipt], mask: Mask
) -> Callable[[Datapoint, Checkpoint], Receipt]:
    """Return a sink's `deliver`, with errors and receipts that hold no secret.

    A receipt is kept in the spool and shown to whoever listens.
    """
    if not mask:
        return deliver
    call = guarded(deliver, mask)

    def masked(datapoint: Datapoint, checkpoint: Checkpoint) -> Receipt:
        receipt: object = call(datapoint, checkpoint)
        if not isinstance(receipt, Receipt):
            # Whoever called says what is wrong with it, in words that show it.
            return cast("Receipt", mask(text_of(receipt)))
        remote_id, url = (_masked(text, mask) for text in (receipt.remote_id, receipt.url))
        return replace(receipt, remote_id=remote_id, url=url)

    return masked


class Guarded:
    """Stands for a component: has all it has, and raises errors without secrets.

    Args:
        component: The component.
        mask: Knows the secrets.
    """

    def __init__(self, component: Any, mask: Mask) -> None:
        self._component = component
        self._mask = mask

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the component; a method raises errors without secrets."""
        value = guarded(getattr, self._mask)(self._component, name)
        return guarded(value, self._mask) if callable(value) else value

    def frames(self, skip: Callable[[Any], bool]) -> Iterator[Any]:
        """Yield a source's frames; an error comes with the frame that it is raised for."""
        frames = iter(guarded(self._component.frames, self._mask)(skip))
        step = guarded(_step, self._mask)
        while (frame := step(frames)) is not _END:
            yield frame


def _step(frames: Iterator[Any]) -> Any:
    return next(frames, _END)


def _copy(exc: AlFrameworkError, mask: Mask) -> BaseException:
    attributes = {name: _plain(value, mask) for name, value in vars(exc).items()}
    copy = _filled(type(exc), [_plain(arg, mask) for arg in exc.args], attributes)
    text = mask(text_of(exc))
    if text_of(copy) == text:
        return copy
    # A plugin's own class, whose text is made of what has been left out: the core's above it.
    core = AlFrameworkError.__module__
    ours = next(kind for kind in type(exc).__mro__ if kind.__module__ == core)
    return _filled(ours, [text], attributes)


def _filled(
    kind: type[BaseException], args: Iterable[object], attributes: Mapping[str, object]
) -> BaseException:
    # Not by its constructor: a plugin's own error may want anything.
    made = kind.__new__(kind)
    made.args = tuple(args)
    vars(made).update(attributes)
    return made


def _plain(value: object, mask: Mask) -> Any:
    """Return a value without secrets; None for one that may hold anything."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Fault):
        return replace(value, path=mask(value.path), message=mask(value.message))
    if isinstance(value, tuple | list):
        return tuple(_plain(one, mask) for one in value)
    return None


def _masked(text: _T, mask: Mask) -> _T:
    # Not text at all if the sink does not keep to its types; whoever called will say so.
    return cast("_T", mask(text)) if isinstance(text, str) else text


@lru_cache(maxsize=256)  # one class per name: errors are told apart by it
def _class_named(name: str, base: type[BaseException]) -> type[BaseException]:
    return type(name, (base,), {"__module__": __name__})
