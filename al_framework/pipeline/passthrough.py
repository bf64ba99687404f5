"""Let a JPEG through byte for byte, without what it says about who took it, where and with what.

Encoding again would cost time and quality. What remains decodes to the very same pixels: only
segments that no decoder needs for them are left out.
"""

from al_framework.api import _jpeg

_BASELINE, _PROGRESSIVE = 0xC0, 0xC2
# Quantisation and Huffman tables, number of lines, restart interval, and the headers themselves.
_NEEDED = frozenset({0xDB, 0xC4, 0xDC, 0xDD, _BASELINE, _PROGRESSIVE, _jpeg.START_OF_SCAN})
_JFIF_BYTES = 14  # of the payload; what follows is a thumbnail


def strip_jpeg(data: bytes) -> bytes | None:
    """Return the JPEG without metadata and without anything behind its end.

    EXIF, XMP, IPTC, comments, makers' segments, thumbnails and further pictures go; JFIF, ICC
    profile and the Adobe segment stay, since colours depend on them.

    Returns:
        None if the file is not one that every reader shows alike: only baseline and progressive
        JPEGs of eight bits, grey or YCbCr, may pass. Orientation is the caller's to look at.

    Raises:
        MalformedJpegError: The file stops before its end, or does not follow the structure.
    """
    header = _jpeg.read_header(data)
    later, end = _jpeg.read_scans(data, header)
    if end is None:
        raise _jpeg.MalformedJpegError("there is no end-of-image marker")
    if not _may_pass(header):
        return None
    pieces: list[bytes | memoryview] = [data[:2]]
    view = memoryview(data)
    position, clean = 2, end == len(data)
    for segment in (*header.segments, *later):
        kept = _kept(view, segment)
        clean = clean and kept == view[segment.start : segment.end]
        # Up to the first scan nothing stands between segments but fill bytes; after it, pixels.
        pieces.append(view[position : segment.start])
        pieces.append(kept)
        position = segment.end
    if clean:  # as it came from a camera that says nothing: a megabyte less to copy
        return data
    pieces.append(view[position:end])
    return b"".join(pieces)


def _may_pass(header: _jpeg.JpegHeader) -> bool:
    if header.frame_type not in {_BASELINE, _PROGRESSIVE} or header.precision != 8:
        return False
    components = len(header.component_ids)
    if components == 1:
        return True
    # Without JFIF or Adobe, readers take components named R, G and B for RGB.
    named_rgb = header.component_ids == b"RGB" and not header.jfif
    return components == 3 and header.adobe_transform in {None, 1} and not named_rgb


def _kept(view: memoryview, segment: _jpeg.Segment) -> bytes | memoryview:
    marker, start, body, end = segment
    payload = view[body : min(end, body + 12)].tobytes()
    if marker == 0xE0 and payload.startswith(b"JFIF\0") and end - body >= _JFIF_BYTES:
        without_thumbnail = view[body : body + _JFIF_BYTES - 2].tobytes() + b"\0\0"
        return b"\xff\xe0" + (_JFIF_BYTES + 2).to_bytes(2, "big") + without_thumbnail
    icc = marker == 0xE2 and payload == b"ICC_PROFILE\0"
    adobe = marker == 0xEE and payload.startswith(b"Adobe")
    return view[start:end] if icc or adobe or marker in _NEEDED else b""
