import io

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al_framework.api import _formats, _jpeg
from al_framework.testing.fakes import sample_jpeg, sample_pixels

steady = settings(deadline=None, derandomize=True)


def save(mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(sample_pixels(40, 24)).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


@pytest.mark.parametrize(
    ("data", "frame_type", "components"),
    [
        (save(), 0xC0, 3),
        (save(progressive=True), 0xC2, 3),
        (save("L"), 0xC0, 1),
        (save("CMYK"), 0xC0, 4),
        (save(subsampling=0), 0xC0, 3),
        (save(restart_marker_blocks=1), 0xC0, 3),
    ],
)
def test_header_tells_size_kind_and_components(
    data: bytes, frame_type: int, components: int
) -> None:
    header = _jpeg.read_header(data)

    assert (40, 24, frame_type, 8) == (
        header.width,
        header.height,
        header.frame_type,
        header.precision,
    )
    assert components == len(header.component_ids)
    assert header.segments[-1].marker == _jpeg.START_OF_SCAN


def test_adobe_transform_and_jfif_are_told() -> None:
    plain, cmyk, rgb = save(), save("CMYK"), save(keep_rgb=True)

    assert _jpeg.read_header(plain)[5:7] == (True, None)
    assert (
        _jpeg.read_header(save_adobe(2)).jfif,
        _jpeg.read_header(save_adobe(2)).adobe_transform,
    ) == (False, 2)
    assert _jpeg.read_header(cmyk).adobe_transform == 0
    assert _jpeg.read_header(rgb).component_ids == b"RGB"


def save_adobe(transform: int) -> bytes:
    data = save()
    jfif = _jpeg.read_header(data).segments[0]
    adobe = segment(0xEE, b"Adobe" + bytes((0, 100, 0, 0, 0, 0, transform)))
    return data[: jfif.start] + adobe + data[jfif.end :]


def test_fill_bytes_and_standalone_markers_may_stand_between_segments() -> None:
    data = save()
    spaced = data[:2] + b"\xff\xff\xff" + data[3:20] + b"\xff\x01\xff\xd0" + data[20:]

    assert _jpeg.read_header(data)[:7] == _jpeg.read_header(spaced)[:7]


def test_only_the_first_exif_block_is_kept_and_other_app1_segments_are_not_exif() -> None:
    data = save()
    extra = (
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")
        + segment(0xE1, b"Exif\0\0first")
        + segment(0xE1, b"Exif\0\0second")
    )

    assert _jpeg.read_header(data[:2] + extra + data[2:]).exif == b"first"
    assert _jpeg.read_header(data).exif is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it does not start with a JPEG marker"),
        (b"\xff\xd8", "it stops inside its header"),
        (b"\xff\xd8\xff", "it stops inside its header"),
        (b"\xff\xd8\xff\xff\xff", "it stops inside its header"),
        (b"\xff\xd8\xff\xe0\x00", "it stops inside its header"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a marker segment is cut off"),
        (b"\xff\xd8\xff\xe0\x00\x01", "a marker segment is cut off"),
        (b"\xff\xd8" + segment(0xE0, b"") + b"\x00\x00\x00\x00", "a marker is missing"),
        (b"\xff\xd8\xff\xd9", "the image ends before it begins"),
        (b"\xff\xd8" + segment(0xC0, b"\x08\x00"), "the frame header is cut off"),
        (
            b"\xff\xd8" + segment(0xC0, b"\x08\x00\x01\x00\x01\x03"),
            "the frame header is cut off",
        ),
        (b"\xff\xd8" + segment(0xDA, b""), "no frame header comes before the first scan"),
    ],
)
def test_malformed_headers_say_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(_jpeg.MalformedJpegError, match=message):
        _jpeg.read_header(data)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
def test_walk_ends_after_the_end_marker_whatever_follows(options: dict[str, object]) -> None:
    data = save(**options)
    header = _jpeg.read_header(data)

    assert len(data) == _jpeg.read_scans(data, header)[1]
    assert len(data) == _jpeg.read_scans(data + b"behind \xff\xd9", header)[1]


def test_walk_lists_the_segments_between_the_scans_of_a_progressive_picture() -> None:
    data = save(progressive=True)

    later, _ = _jpeg.read_scans(data, _jpeg.read_header(data))

    assert {0xC4, 0xDA} == {entry.marker for entry in later}


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
def test_walk_finds_no_end_in_a_file_cut_anywhere(options: dict[str, object]) -> None:
    data = save(**options)
    header = _jpeg.read_header(data)

    ends = {
        _jpeg.read_scans(data[:cut], header)[1] for cut in range(header.segments[-1].end, len(data))
    }

    assert {None} == ends


@pytest.mark.parametrize("inside", [b"\xff\xd8", b"\xff\xc4\x00\x01", b"\xff\xc4\xff\xff"])
def test_walk_refuses_a_second_start_and_impossible_lengths(inside: bytes) -> None:
    data = save()
    header = _jpeg.read_header(data)
    at = header.segments[-1].end + 2

    assert _jpeg.read_scans(data[:at] + inside + data[at:], header)[1] is None


def test_walk_steps_over_a_standalone_marker() -> None:
    data = save()
    header = _jpeg.read_header(data)
    at = header.segments[-1].end + 2
    marked = data[:at] + b"\xff\x01" + data[at:]

    assert len(marked) == _jpeg.read_scans(marked, header)[1]


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    st.lists(st.sampled_from([0x00, 0x01, 0x7F, 0xCF, 0xD0, 0xD7, 0xD8, 0xD9, 0xFE, 0xFF])),
    st.integers(0, 5),
    st.integers(1, 7),
    st.integers(1, 7),
)
def test_the_next_marker_is_found_however_far_it_is(
    values: list[int], position: int, near: int, block: int
) -> None:
    data = bytes(values)
    expected = [
        at
        for at in range(position, len(data) - 1)
        if data[at] == 0xFF and data[at + 1] not in {0x00, *range(0xD0, 0xD8), 0xFF}
    ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_jpeg, "_NEAR_BYTES", near)
        patch.setattr(_jpeg, "_BLOCK_BYTES", block)
        found = _jpeg._find_marker(data, position)

    assert (expected[0] if expected else None) == found


@steady
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_and_nothing_else(tail: bytes) -> None:
    data = b"\xff\xd8\xff" + tail

    try:
        header = _jpeg.read_header(data)
    except _jpeg.MalformedJpegError:
        return

    assert len(data) >= header.segments[-1].end


@steady
@given(st.integers(0, 2**32), st.integers(0, 255))
def test_one_wrong_byte_never_raises_anything_else(at: int, value: int) -> None:
    data = bytearray(sample_jpeg(32, 16))
    data[at % len(data)] = value

    try:
        header = _jpeg.read_header(bytes(data))
        _jpeg.read_scans(bytes(data), header)
    except _jpeg.MalformedJpegError:
        pass


@steady
@given(
    orientation=st.integers(1, 8),
    little=st.booleans(),
    before=st.integers(0, 3),
)
def test_orientation_is_read_as_pillow_reads_it(
    orientation: int, little: bool, before: int
) -> None:
    exif = PIL.Image.Exif()
    exif.endian = "<" if little else ">"
    for tag in range(before):
        exif[0x0100 + tag] = 7
    exif[0x0112] = orientation
    block = exif.tobytes()[6:]

    again = PIL.Image.Exif()
    again.load(b"Exif\0\0" + block)

    assert again[0x0112] == orientation == _formats.exif_orientation(block)


@pytest.mark.parametrize("endian", ["<", ">"])
def test_both_byte_orders_and_all_integer_types_are_read(endian: str) -> None:
    order = "little" if endian == "<" else "big"
    start = b"II*\0" if endian == "<" else b"MM\0*"

    for kind, width in ((1, 1), (3, 2), (4, 4)):
        entry = b"".join(
            value.to_bytes(size, order) for value, size in ((0x112, 2), (kind, 2), (1, 4))
        )
        value = (6).to_bytes(width, order).ljust(4, b"\0")
        block = start + (8).to_bytes(4, order) + (1).to_bytes(2, order) + entry + value

        assert _formats.exif_orientation(block) == 6


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"nonsense",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0",  # 9 is no orientation
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x07\0\x01\0\0\0\x06\0\0\0",  # of no integer type
        b"II*\0\x08\0\0\0\x02\0\x12\x01\x03\0",  # cut off
        b"II*\0\x08\0\0\0\x00\0",
    ],
)
def test_a_broken_exif_block_means_upright(block: bytes) -> None:
    assert _formats.exif_orientation(block) == 1


def test_frame_reader_agrees_with_pillow_on_sizes() -> None:
    rng = np.random.default_rng(4)
    for width, height in rng.integers(1, 90, size=(20, 2)).tolist():
        header = _jpeg.read_header(sample_jpeg(width, height))

        assert (width, height) == (header.width, header.height)
