"""Multipart bodies, read by the standard library's e-mail parser.

The parser keeps every byte of a part: it works on surrogate-escaped text and splits at line ends
without translating them. That is tested with random bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message


class MultipartError(ValueError):
    """A body that is not well-formed multipart/form-data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a form.

    Attributes:
        name: Its name.
        filename: Its file name, where it has one.
        content_type: Its type as declared, or empty.
        data: Its bytes.
    """

    name: str
    filename: str | None
    content_type: str
    data: bytes

    def text(self) -> str:
        """Return the content as text.

        Raises:
            MultipartError: It is not UTF-8.
        """
        try:
            return self.data.decode()
        except UnicodeDecodeError as exc:
            raise MultipartError(f"part {self.name!r} is not UTF-8: send UTF-8") from exc


def parse_multipart(content_type: str, body: bytes) -> Sequence[Part]:
    """Split a multipart/form-data body into its parts.

    Args:
        content_type: The header's value, with the boundary.
        body: The whole body.

    Raises:
        MultipartError: The type is another, the boundary is missing or never closed, or a part
            has no name or has parts itself.
    """
    try:
        return _parse(content_type, body)
    except MultipartError:
        raise
    except Exception as exc:  # the e-mail parser raises anything on hostile headers and depths
        raise MultipartError(
            f"the body is not well-formed multipart/form-data: {type(exc).__name__}"
        ) from exc


def _parse(content_type: str, body: bytes) -> Sequence[Part]:
    head = content_type.encode("latin-1", "replace").replace(b"\r", b"").replace(b"\n", b"")
    message = message_from_bytes(b"Content-Type: " + head + b"\r\n\r\n" + body)
    if message.get_content_type() != "multipart/form-data":
        seen = content_type.partition(";")[0]
        raise MultipartError(f"content type {seen!r}: an upload is sent as multipart/form-data")
    if message.defects or not message.is_multipart():
        named = ", ".join(type(defect).__name__ for defect in message.defects)
        raise MultipartError(f"the body is not well-formed multipart/form-data: {named}")
    return [_part(part) for part in message.get_payload() if isinstance(part, Message)]


def _part(message: "Message[str, str]") -> Part:
    name = message.get_param("name", header="content-disposition")
    if not isinstance(name, str) or not name:
        raise MultipartError("a part has no name: add name=… to its Content-Disposition")
    data = message.get_payload(decode=True)
    if not isinstance(data, bytes):
        raise MultipartError(f"part {name!r} consists of parts itself: send a flat form")
    return Part(
        name=name,
        filename=message.get_filename(),
        content_type=str(message.get("content-type", "")),
        data=data,
    )
