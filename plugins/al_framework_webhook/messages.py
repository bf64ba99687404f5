"""What is sent, and what the answer says.

JSON with the picture as base64, rather than multipart: the receiver has to check the signature over
the raw body before anything reads it, which few frameworks allow for multipart, and the libraries
that check signatures take text.
"""

import base64
import json
from datetime import UTC, datetime
from typing import Any

from al_framework.api import Datapoint, Receipt, datapoint_to_dict
from al_framework.api.http import HttpReply

MESSAGE_TYPE = "datapoint.collected"
_MAX_ID = 200
_MAX_URL = 2000


def message(datapoint: Datapoint) -> bytes:
    """Return the body for a datapoint: the same bytes at every attempt.

    Raises:
        ValueError: It holds a number that JSON cannot express.
    """
    data = datapoint_to_dict(datapoint)
    data["image"] = {
        "media_type": "image/jpeg",
        "sha256": datapoint.content_key,
        "base64": base64.b64encode(datapoint.image).decode(),
    }
    decided_at = datetime.fromtimestamp(datapoint.decided_at, UTC).isoformat()
    document = {"type": MESSAGE_TYPE, "timestamp": decided_at, "data": data}
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()


def receipt(reply: HttpReply) -> Receipt:
    """Return what an answer says became of the datapoint.

    Nothing, or a few words, are as good as a document. A page is not: it is what a proxy or a
    sign-in answers in the receiver's place.

    Raises:
        HttpError: The answer is a page or a broken document, or says no.
    """
    if reply.status == 409:
        return Receipt(status="duplicate", **_details(_object(reply.content) or {}))
    content = reply.content.lstrip()
    if content.startswith(b"<"):
        raise reply.malformed(f"a page, {reply.quoted()}, where a short answer belongs")
    document = reply.document() if content.startswith(b"{") else {}
    if document.get("success", True) is False:
        raise reply.rejected("the datapoint was not taken")
    return Receipt(
        status="duplicate" if document.get("duplicate") is True else "created", **_details(document)
    )


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _details(document: Any) -> dict[str, str | None]:
    """Return the receiver's name and address for it, where they can be kept and shown."""
    remote_id, url = document.get("id"), document.get("url")
    if isinstance(remote_id, int) and not isinstance(remote_id, bool):
        remote_id = str(remote_id)
    address = _short(url, _MAX_URL)
    return {
        "remote_id": _short(remote_id, _MAX_ID),
        "url": address if address and address.startswith(("https://", "http://")) else None,
    }


def _short(value: object, limit: int) -> str | None:
    is_short = isinstance(value, str) and 0 < len(value) <= limit and value.isprintable()
    return str(value) if is_short else None
