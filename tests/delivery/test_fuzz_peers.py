"""What servers answer, what lies in the spool's files: nothing but our own errors comes of it.

In CI each kind is tried 1,000 times, since a server is asked or a spool opened for each; with
``AL_TEST_SIZE=full`` 5,000 times.
"""

import contextlib
import itertools
import json
import shutil

import pytest
from hypothesis import strategies as st

from al_framework import Collector
from al_framework.api import SinkError
from al_framework.assembly import assemble_from
from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.spool import CorruptItemError, Spool, SpoolLimits
from al_framework.pipeline.spool.groupfile import GroupItem, write_group
from al_framework.testing.fakes import sample_jpeg
from al_framework.testing.fault_server import Answer, FaultServer

TEXT = st.text(max_size=20) | st.sampled_from(["../x", "a\0b", "\ud800", "\u202ex", "x" * 5000])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)
DOCUMENT = {
    "enabled": True,
    "persist_predictions": True,
    "sampling_strategies": [{"name": "all", "type": "random", "traffic_percentage": 1}],
    "batching_strategy": {"batches_name_prefix": "b", "recreation_interval": "never"},
}


@pytest.fixture
def many(size):
    """Return how many values are tried where a server is asked, or a spool opened."""
    return size.pick(ci=1_000, full=5_000, soak=50_000)


def configuration(directory, sinks):
    return {
        "active_learning": DOCUMENT,
        "sinks": sinks,
        "spool": {"path": str(directory / "spool"), "min_free_bytes": 0, "ballast_bytes": 0},
    }


class Saved:
    """A checkpoint in memory."""

    def __init__(self):
        self.state = {}

    def save(self, **values):
        assert all(isinstance(value, str) for value in values.values())
        self.state |= values


@pytest.fixture
def datapoint(tmp_path):
    """One as the core makes it."""
    box = tmp_path / "made"
    kept = []
    with Collector.from_config(configuration(box, [{"type": "null"}])) as collector:
        spool = collector._assembly.spool
        original = spool.deliveries.load

        def load(lease):
            kept.append(original(lease))
            return kept[-1]

        spool.deliveries.load = load
        collector.submit(sample_jpeg(), wait_accepted_s=10.0)
        collector.close(10.0)
    return kept[0]


ANSWERS = st.builds(
    Answer,
    status=st.sampled_from([200, 200, 200, 201, 204, 301, 400, 401, 404, 409, 429, 500, 503, 599]),
    body=st.binary(max_size=100)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(
        st.sampled_from(["id", "success", "duplicate", "error", "url", "batches", "jobs"]),
        JSON,
        max_size=4,
    ).map(lambda value: json.dumps(value).encode()),
    headers=st.dictionaries(
        st.sampled_from(["Retry-After", "Location", "Content-Type", "X-A"]),
        st.text(alphabet="abc019 ;:/-+", max_size=30)
        | st.sampled_from(["1e9", "-5", "nan", "Fri, 31 Dec 1999 23:59:59 GMT", "9" * 400]),
        max_size=2,
    ),
    how=st.sampled_from(["whole"] * 8 + ["reset_unanswered", "cut_midway", "reset_midway"]),
)


@pytest.mark.parametrize("kind", ["roboflow", "webhook"])
def test_answers_of_servers(fuzz, many, tmp_path, datapoint, kind):
    with FaultServer() as server:
        options = {
            "roboflow": {"api_key": "k" * 20, "project": "p", "api_url": server.url},
            "webhook": {"url": server.url, "allow_insecure": True, "secret": "whsec_" + "A" * 32},
        }[kind]
        sinks = [{"type": kind, **options, "timeout_s": 2, "deadline_s": 5}]
        assembly = assemble_from(configuration(tmp_path, sinks))
        sink = assembly.sinks[kind]

        def check(answers):
            turns = itertools.cycle(answers)
            server.otherwise = lambda _: next(turns)
            with contextlib.suppress(SinkError):
                receipt = sink.deliver(datapoint, Saved())

                assert receipt.status in {"created", "duplicate"}
                for text in (receipt.remote_id, receipt.url):
                    assert text is None or len(text) <= 2000
            server.forget()

        fuzz(st.lists(ANSWERS, min_size=1, max_size=3), check, examples=many)
        assembly.finish(deadline_s=0.0)


META = {
    "datapoint": {
        "item_id": "i",
        "batch_name": "b",
        "utility": 1.0,
        "decided_at": 1.0,
        "decision": {},
        "target": {},
    },
    "key": ["s", "f", 1, 2],
    "sinks": ["s"],
}


def places(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


def changed(place, value):
    meta = json.loads(json.dumps(META))
    target = meta
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    return json.dumps(meta).encode()


METAS = (
    st.builds(changed, st.sampled_from(list(places(META))), JSON)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=60)
    | st.binary(max_size=2)
)
DEEP = {"list": b"[" * 100_000, "digits": b"9" * 10_000, "mapping": b'{"datapoint":' * 20_000}


def spool_in(directory):
    return Spool(
        directory,
        sinks=("s",),
        ledger=MemoryLedger({}, scope="x"),
        clock=SystemClock(),
        limits=SpoolLimits(min_free_bytes=0),
    )


def test_metadata_with_a_good_checksum_and_any_content(fuzz, many, quick_directory):
    """Whoever may write into the spool may write anything; the start survives it."""
    numbers = itertools.count()

    def check(metas):
        rebuild(quick_directory / str(next(numbers)), metas)

    fuzz(st.lists(METAS, min_size=1, max_size=3), check, examples=many)


@pytest.mark.parametrize("meta", DEEP.values(), ids=DEEP)
def test_metadata_that_would_exhaust_the_stack(tmp_path, meta):
    good = json.dumps(META).encode()

    assert rebuild(tmp_path / "0", [meta, good]) == 1


def rebuild(directory, metas):
    """Build the index anew of one group; return how many datapoints it has then."""
    (directory / "obj" / "2024010100").mkdir(parents=True, mode=0o700)
    directory.chmod(0o700)
    write_group(
        directory / "obj" / "2024010100" / "g.als", [GroupItem(b"\xff\xd8", m) for m in metas]
    )
    (directory / "spool.db").write_bytes(b"no database " * 100)
    (directory / "spool.db").chmod(0o600)
    spool, found = spool_in(directory), 0
    spool.open()
    try:
        while (lease := spool.deliveries.take("s")) is not None:
            found += 1
            with contextlib.suppress(CorruptItemError):
                spool.deliveries.load(lease)
            spool.deliveries.give_up(lease, "read")
            spool.deliveries.let_go(lease)
    finally:
        spool.close()
        shutil.rmtree(directory)
    return found
