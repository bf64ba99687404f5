"""Sign a message so that its receiver knows who sent it, when, and that nothing was changed.

Source: Standard Webhooks 1.0.0, symmetric signatures; so the libraries of that project verify it.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from pydantic import SecretStr

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64


def secret_fault(secret: SecretStr) -> str | None:
    """Return what is wrong with a secret, without showing any of it; None if nothing is."""
    try:
        size = len(_key(secret))
    except ValueError:
        return "is no base64, with or without 'whsec_' in front: take the receiver's, or make one"
    if not _SHORTEST <= size <= _LONGEST:
        return f"holds {size} bytes: it has to hold {_SHORTEST} to {_LONGEST} of them as base64"
    return None


def signed_headers(
    secret: SecretStr, *, message_id: str, sent_at: float, body: bytes
) -> Mapping[str, str]:
    """Return the headers that say what a message is, when it was sent, and that it is ours.

    Args:
        secret: What both ends know.
        message_id: The same at every attempt, so that a receiver can tell a repeated message.
        sent_at: UTC epoch seconds of this attempt.
        body: The very bytes that are sent.
    """
    timestamp = str(int(sent_at))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _key(secret: SecretStr) -> bytes:
    text = secret.get_secret_value().removeprefix(_PREFIX)
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
