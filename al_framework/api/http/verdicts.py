"""What a failed request means for a delivery: the one table that every network sink goes by.

=============================================  =================================================
no connection, broken off, too late            `TransientSinkError`
408, 425, 429, 5xx without 501 and 505         `TransientSinkError`, with its ``Retry-After``
certificate, unknown host, unusable address,   `SinkPausedError`: the configuration is at fault
any redirect, 401, 402, 403, 404, 407, 423
2xx that cannot be read or says no             `TransientSinkError` twice, `PermanentSinkError`
any other status                               `PermanentSinkError`
=============================================  =================================================
"""

from collections.abc import Collection

from al_framework.api.components import Checkpoint
from al_framework.api.errors import (
    PermanentSinkError,
    SinkError,
    SinkPausedError,
    TransientSinkError,
)
from al_framework.api.http.answers import HttpError

# An answer that says neither yes nor why not may be a proxy's: worth this many attempts.
MAX_ODD_ANSWERS = 3
_PAUSING = frozenset({401, 402, 403, 404, 407, 423})
_PASSING = frozenset({408, 425, 429})
_NEVER = frozenset({501, 505})


def sink_error(
    failure: HttpError, *, who: str, checkpoint: Checkpoint, pausing: Collection[int] = ()
) -> SinkError:
    """Return what `Sink.deliver` has to raise for a request that failed.

    Args:
        failure: What `HttpClient.send` raised, or a method of `HttpReply` returned.
        who: Sink and datapoint, for the message.
        checkpoint: The delivery's; the answers that could not be read are counted there.
        pausing: Statuses that are a fault of key or configuration here, besides the usual ones.

    Raises:
        LeaseLostError: Another worker has taken the datapoint over.
    """
    message = f"{who}: {failure}"
    status = failure.status
    if failure.kind in {"malformed", "rejected"}:
        return _odd_answer(message, checkpoint)
    if failure.kind == "configuration" or status in _PAUSING or status in pausing:
        return SinkPausedError(message)
    if status is None or status in _PASSING or (status >= 500 and status not in _NEVER):
        return TransientSinkError(
            message,
            retry_after_s=failure.retry_after_s,
            may_be_stored=status not in _PASSING,  # without an answer, or after a fault, who knows
        )
    return PermanentSinkError(message)


def _odd_answer(message: str, checkpoint: Checkpoint) -> SinkError:
    count = int(checkpoint.state.get("odd_answers", "0")) + 1
    if count >= MAX_ODD_ANSWERS:
        return PermanentSinkError(f"{message} (after {count} such answers)")
    checkpoint.save(odd_answers=str(count))
    return TransientSinkError(message)
