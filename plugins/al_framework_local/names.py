"""Turn names that strangers chose into file names and into text that is safe to show."""

import re
import unicodedata

_FORBIDDEN = re.compile(r"[^A-Za-z0-9._-]+")
_PICTURE_SUFFIX = re.compile(r"\.(jpe?g|png|webp|bmp|tiff?)$", re.IGNORECASE)
# Windows opens a device for these, whatever the suffix; a collection may be copied there.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_MAX_STEM = 80
# Control, bidirectional and unpaired characters: they reorder or break what is printed around them.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def slug(name: str, *, empty: str) -> str:
    """Return the name made of ``[A-Za-z0-9._-]`` only, at most 80 long, without a leading dot.

    Args:
        name: Any text at all.
        empty: What to return where nothing of the name is left.
    """
    cleaned = _FORBIDDEN.sub("-", name).strip("-.")[:_MAX_STEM].rstrip("-.")
    if not cleaned:
        return empty
    return f"{empty}-{cleaned}"[:_MAX_STEM] if _RESERVED.fullmatch(cleaned) else cleaned


def picture_name(frame_id: str, content_key: str, *, digits: int = 8) -> str:
    """Return ``<slug of the frame id's last part>-<first digits of the content key>.jpg``.

    Args:
        frame_id: As in `Frame.frame_id`; ``cam/site 3/img_7.png#40`` gives ``img_7.png-40``.
        content_key: SHA-256 of the picture, hexadecimal.
        digits: How many of the key's digits tell pictures of one name apart.
    """
    last = _PICTURE_SUFFIX.sub("", frame_id.rstrip("/").rpartition("/")[2])
    key = slug(content_key, empty="0")[:digits]
    return f"{slug(last, empty='image')}-{key}.jpg"


def printable(text: str) -> str:
    """Return the text with every character that could disturb its surroundings as U+FFFD."""
    if text.isprintable():
        return text
    return "".join("\ufffd" if unicodedata.category(c) in _UNPRINTABLE else c for c in text)
