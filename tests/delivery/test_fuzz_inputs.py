"""Whatever comes in from outside, nothing but our own errors comes out, and nothing is touched.

Meanwhile no file is written or removed, none is read but those that a configuration names and what
is imported, no program is started and nobody is called. In CI each kind of thing is tried 5,000
times, with ``AL_TEST_SIZE=full`` 20,000 times.
"""

import contextlib
import io
import json
import os
import resource
import socket
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import strategies as st

from al_framework.api import (
    AlFrameworkError,
    Classification,
    ConfigurationError,
    Detections,
    Frame,
    Image,
    ImageError,
    Keypoints,
    RleMask,
    Unlabelled,
)
from al_framework.config.loading import load_configuration, plugin_switches, read_document
from al_framework.host import PluginHost
from al_framework.pipeline.checking import check_prediction
from al_framework.pipeline.encoding import EncodingRules, encode_frame
from al_framework.testing.fakes import sample_jpeg, sample_pixels
from al_framework_local.names import picture_name, printable, slug
from al_framework_roboflow.entries import UnreadableEntryError
from al_framework_roboflow.response import read_response

BUSY_S = 10.0  # of the processor for one input; the target is a second
MEMORY_MB = 200  # for one input; what all of them leave behind is hypothesis's and the importer's
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
TOUCHING = ("os.", "shutil.", "socket.", "subprocess.", "urllib.", "http.", "ctypes.", "tempfile.")
LOOKING = {"os.listdir", "os.scandir", "os.walk", "os.fwalk"}
IMPORTED = tuple(map(str, {sys.prefix, sys.base_prefix, Path(__file__).parents[2]}))


class Guard:
    """Notes what a process does that no input may bring about, while it is told to look."""

    def __init__(self):
        self.trespasses = []
        self.is_looking = False
        self.may_read = False
        sys.addaudithook(self._look)

    def _look(self, event, arguments):
        if not self.is_looking:
            return
        if event == "open":
            path, _, flags = arguments
            named = not isinstance(path, int)  # a descriptor was open before
            writes = bool(flags & WRITING) and not str(path).endswith(".pyc")
            reads = not self.may_read and not str(path).startswith(IMPORTED)
            is_trespass = named and (writes or reads)
        else:
            is_trespass = event.startswith(TOUCHING) and event not in LOOKING
        if is_trespass:
            self.trespasses.append((event, arguments))


@pytest.fixture(scope="module")
def guard():
    return Guard()


@pytest.fixture
def fuzz(fuzz, guard, request):
    """Try a check on many values under guard."""
    guard.may_read = "configuration" in request.node.name

    def run(values, check, *, examples):
        def guarded(value):
            before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            guard.is_looking = True
            try:
                check(value)
            finally:
                guard.is_looking = False
            grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
            assert grown_kb < MEMORY_MB * 1024

        fuzz(values, guarded, examples=examples)

    yield run
    assert guard.trespasses == []


def test_the_guard_sees_a_file_a_program_and_a_call(guard, tmp_path):
    guard.is_looking = True
    try:
        (tmp_path / "x").write_text("x")
        (tmp_path / "x").rename(tmp_path / "y")
        subprocess.run(["true"], check=True)
        with contextlib.suppress(OSError), socket.socket() as client:
            client.connect(("127.0.0.1", 9))
    finally:
        guard.is_looking = False
    seen = [event for event, _ in guard.trespasses]
    guard.trespasses.clear()

    assert {"open", "os.rename", "subprocess.Popen", "socket.connect"} <= set(seen)


@pytest.fixture
def many(size):
    """Return how many values are tried; one costs a few milliseconds of the processor."""
    return size.pick(ci=5_000, full=20_000, soak=50_000)


TEXT = st.text(max_size=20) | st.sampled_from(
    ["../x", "/etc/passwd", "a\0b", "CON", "\u202ex", "\ud800", "${HOME}", "file:x", "${", "1e999"]
)
NUMBER = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, -1, 2**31, 2**63, 10**400, 1e308, -0.0, 5e-324])
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
GOOD = json.loads((Path(__file__).parent / "children" / "configuration.json").read_text())


def places(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


def changed(place, value, key):
    """Return the good document with a value at a place, or under a new key beside it."""
    document = json.loads(json.dumps(GOOD))
    target = document
    for step in place[:-1]:
        target = target[step]
    target[key if isinstance(target, dict) and key is not None else place[-1]] = value
    return document


DOCUMENTS = st.builds(
    changed, st.sampled_from(list(places(GOOD))), JSON, st.none() | TEXT
) | st.dictionaries(TEXT, JSON, max_size=4)


@pytest.fixture(scope="module")
def host():
    return PluginHost.discover()


def load(source, host):
    with contextlib.suppress(ConfigurationError):
        document = read_document(source)
        plugin_switches(document)
        load_configuration(document, host, environ={"KEY": "value", "HOME": "x"})


def test_configurations(fuzz, many, host):
    fuzz(DOCUMENTS, lambda document: load(document, host), examples=many)


def test_configuration_files(fuzz, guard, many, host, quick_directory):
    soup = st.text(alphabet="ab:-?[]{}&*!|>'\"%@`= \n\t#,1.~\\\ufeff\x85\u2028<", max_size=60)
    contents = (
        DOCUMENTS.map(lambda document: json.dumps(document, default=str).encode())
        | st.binary(max_size=80)
        | soup.map(lambda text: text.encode())
    )

    def check(file):
        suffix, content = file
        path = quick_directory / f"al.{suffix}"
        guard.is_looking = False  # this one is ours
        path.write_bytes(content)
        guard.is_looking = True
        load(path, host)

    files = st.tuples(st.sampled_from(["yaml", "json", "toml"]), contents)
    fuzz(files, check, examples=many)


CORPUS = {
    "aliases": "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(9)),
    "object": "a: !!python/object/apply:os.system ['touch owned']",
    "deep list": "[" * 5_000,
    "deep mapping": "{a: " * 5_000,
    "deep blocks": "".join(f"{' ' * n}a:\n" for n in range(3_000)),
    "ten megabytes": "a: " + "x" * 10_000_000,
    "twice": "sinks: []\nsinks: []",
    "tab": "a:\n\t- b",
    "byte order mark": "\ufeffsinks: []",
    "digits": f"a: {'9' * 1_000_000}",
    "hexadecimal": f"a: 0x{'f' * 1_000_000}",
    "exponent": "a: 1e999",
    "nan": "a: .nan",
    "merge": "<<: {sinks: []}",
    "many documents": "---\n" * 10_000,
    "long key": f"? {'k' * 100_000}\n: 1",
    "many keys": "".join(f"k{n}: 1\n" for n in range(50_000)),
    "json nan": '{"a": NaN, "b": Infinity}',
    "json surrogate": '{"a": "\\ud800"}',
    "json deep": "[" * 100_000,
    "toml deep": f"a = {'[' * 5_000}",
    "toml digits": f"a = {'9' * 100_000}",
    "null bytes": "a: \0",
}


@pytest.mark.parametrize("suffix", ["yaml", "json", "toml"])
@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS)
def test_files_made_to_hurt_are_refused(host, tmp_path, monkeypatch, suffix, text):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"al.{suffix}"
    path.write_text(text, encoding="utf-8")
    started = time.process_time()
    with pytest.raises(ConfigurationError):
        load_configuration(read_document(path), host, environ={})

    assert time.process_time() - started < BUSY_S
    assert [path] == list(tmp_path.iterdir())


FLOATS = st.floats(width=64) | st.sampled_from([0.0, 10.0, 63.0, 1e300])
SIZES = st.sampled_from([(64, 48), (128, 96), (48, 64), (0, 0), (10**6, 750_000), (-64, -48)])


def array(draw, shape):
    rows = draw(st.lists(FLOATS, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    return np.array(rows, dtype=draw(st.sampled_from([np.float64, object]))).reshape(shape)


@st.composite
def predictions(draw):
    rows = draw(st.integers(0, 4))
    odd = draw(st.integers(0, 5)) == 0
    names = tuple(draw(st.lists(TEXT, min_size=rows, max_size=rows + odd)))
    if draw(st.booleans()):
        return Classification(
            class_name=names,
            confidence=array(draw, (rows,)),
            image_size=draw(SIZES),
            top=draw(st.none() | TEXT),
            top_confidence=draw(st.none() | FLOATS),
        )
    size = draw(SIZES)
    mask = RleMask(
        size=draw(SIZES), counts=tuple(draw(st.lists(st.integers(-5, 10**7), max_size=4)))
    )
    ring = array(draw, (draw(st.integers(0, 4)), 2))
    points = Keypoints(xy=array(draw, (2, 2)))
    return Detections(
        xyxy=array(draw, (rows, 4)),
        confidence=array(draw, (rows,)),
        class_name=names,
        image_size=size,
        masks=draw(st.sampled_from([None, (mask,) * rows])),
        polygons=draw(st.sampled_from([None, ((ring,),) * rows])),
        keypoints=draw(st.sampled_from([None, (points,) * rows])),
        data={"detection_id": [draw(JSON) for _ in range(rows)]},
        document=draw(JSON),
    )


def test_predictions(fuzz, many):
    frame = Frame(frame_id="f", image=Image(sample_jpeg(64, 48)))
    rules = EncodingRules(max_image_size=(32, 32))

    def check(prediction):
        with contextlib.suppress(AlFrameworkError):
            check_prediction(prediction)
            encode_frame(frame, prediction, rules)

    fuzz(predictions(), check, examples=many)


ROW = {
    "x": 10.0,
    "y": 10,
    "width": 5,
    "height": 5,
    "confidence": 0.5,
    "class": "a",
    "class_id": 0,
    "detection_id": "d",
    "points": [{"x": 1, "y": 2}],
    "keypoints": [{"x": 1, "y": 2, "confidence": 0.1, "class": "k", "class_id": 0}],
}
ANSWERS = {
    "detections": {"image": {"width": 64, "height": 48}, "predictions": [ROW]},
    "classes": {
        "image": {"width": 64, "height": 48},
        "predictions": [{"class": "a", "class_id": 0, "confidence": 0.5}],
        "top": "a",
        "confidence": 0.5,
    },
    "labels": {
        "image": {"width": 64, "height": 48},
        "predictions": {"a": {"confidence": 0.5, "class_id": 0}},
        "predicted_classes": ["a"],
    },
}


def broken(good, place, value):
    """Return a good document with another value at a place."""
    document = json.loads(json.dumps(good))
    target = document
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    return document


def test_documents_of_models(fuzz, many):
    frame = Frame(frame_id="f", image=Image(sample_jpeg(64, 48)))

    def check(document):
        # The second is what the adapter makes a `PredictionError` of.
        with contextlib.suppress(AlFrameworkError, UnreadableEntryError):
            check_prediction(read_response(document, frame, None))

    spots = [(good, place) for good in ANSWERS.values() for place in places(good)]
    odd = st.builds(lambda spot, value: broken(*spot, value), st.sampled_from(spots), JSON)
    fuzz(odd | st.dictionaries(TEXT, JSON, max_size=4), check, examples=many)


def encoded(format_, **options):
    buffer = io.BytesIO()
    PIL.Image.fromarray(sample_pixels(24, 16)).save(buffer, format_, **options)
    return buffer.getvalue()


PICTURES = [
    encoded("JPEG"),
    encoded("JPEG", progressive=True, comment=b"x" * 40),
    encoded("PNG"),
    encoded("WEBP"),
    encoded("WEBP", lossless=True),
    encoded("BMP"),
    encoded("TIFF"),
    encoded("TIFF", compression="tiff_lzw"),
]


@st.composite
def damaged_pictures(draw):
    data = bytearray(draw(st.sampled_from(PICTURES)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data) - 1))
        what = draw(st.sampled_from(["flip", "byte", "cut", "drop", "double", "size"]))
        if what == "flip":
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "byte":
            data[at] = draw(st.sampled_from([0, 0xFF, 0x7F, 0x80, 0xD9, 0xDA]))
        elif what == "cut":
            del data[max(at, 2) :]
        elif what == "drop":
            del data[at : at + draw(st.integers(1, 20))]
        elif what == "double":
            data[at:at] = data[at : at + 20]
        else:
            data[at : at + 4] = draw(
                st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"])
            )
        if not data:
            break
    return bytes(data)


def test_pictures(fuzz, many):
    rules = [
        EncodingRules(max_image_size=(1000, 1000), verify=verify)
        for verify in ("structure", "full")
    ]

    def check(given):
        rule, data = given
        with contextlib.suppress(ImageError):
            frame = Frame(frame_id="f", image=Image(data))
            stored = encode_frame(frame, Unlabelled(), rule).image

            assert stored.startswith(b"\xff\xd8")
            assert stored.endswith(b"\xff\xd9")

    data = damaged_pictures() | st.binary(max_size=200)
    fuzz(st.tuples(st.sampled_from(rules), data), check, examples=many)


ANY = st.characters(exclude_categories=())  # lone surrogates, too
# Control and format characters, surrogates, ends of lines and of paragraphs.
DISTURBING = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_names(fuzz, many):
    def check(name):
        stem, file = slug(name, empty="none"), picture_name(name, "0123456789abcdef")

        for made in (stem, file):
            assert made.isascii()
            assert made.isprintable()
            assert not set(made) & set('/\\:*?"<>| ')
            assert made.strip(".") == made
            assert len(made) <= 120
        shown = printable(name)
        assert len(shown) == len(name)
        assert not {unicodedata.category(one) for one in shown} & DISTURBING

    fuzz(st.text(ANY, max_size=400), check, examples=many)
