"""What stands in for the core, and samples that hurt."""

import importlib.metadata
import subprocess
import sys

import pytest

import al_framework_local
from al_framework import testing
from al_framework.api import (
    ImageError,
    LeaseLostError,
    PermanentSinkError,
    Receipt,
    Strategy,
    Verdict,
)
from al_framework.pipeline.checking import check_prediction
from al_framework.testing import (
    FakeCheckpoint,
    FakeClock,
    SinkContract,
    hostile_datapoints,
    hostile_frames,
    hostile_predictions,
    make_context,
    make_host,
    memory_sink,
    sample_datapoint,
    sample_detections,
    sample_frames,
    sample_jpeg,
    scripted_sink,
)
from al_framework.testing._checks import prediction_fault, secrets_of
from al_framework.testing.collection import SteppedCollection

PUBLIC = [
    "AdapterContract",
    "Answer",
    "ComponentContract",
    "ConfigurationProviderContract",
    "FakeCheckpoint",
    "FakeClock",
    "FaultServer",
    "MemorySink",
    "NetworkSinkContract",
    "PredictorContract",
    "Request",
    "ScriptedSink",
    "SinkContract",
    "SourceContract",
    "StrategyContract",
    "freeze",
    "hostile_datapoints",
    "hostile_frames",
    "hostile_predictions",
    "make_context",
    "make_host",
    "memory_sink",
    "sample_datapoint",
    "sample_decision",
    "sample_detections",
    "sample_frame",
    "sample_frames",
    "sample_jpeg",
    "sample_pixels",
    "sample_predictions",
    "sample_summary",
    "scripted_sink",
]


def test_public_names_only_grow():
    assert PUBLIC == testing.__all__
    assert [] == [name for name in PUBLIC if not getattr(testing, name).__doc__]


def test_importing_needs_neither_pytest_nor_trustme():
    code = (
        "import sys; sys.modules['pytest'] = sys.modules['trustme'] = None\n"
        "import al_framework.testing, al_framework.testing.certificates\n"
        "print([name for name in sys.modules if name.startswith(('_pytest', 'al_framework_'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_it_is_no_plugin_of_pytest():
    groups = {entry.group for entry in importlib.metadata.distribution("al-framework").entry_points}

    assert "al_framework" in groups
    assert "pytest11" not in groups


def test_sample_frames_are_readable_and_named():
    frames = sample_frames()

    for name, frame in frames.items():
        width, height = frame.image.size
        assert (frame.frame_id, (height, width, 3)) == (name, frame.image.pixels().shape)
    assert frames["sideways jpeg"].image.size == (48, 64)
    assert [name for name, frame in frames.items() if frame.parent is not None] == ["crop"]


@pytest.mark.parametrize("name", hostile_frames())
def test_hostile_frames_are_not_readable(name):
    with pytest.raises(ImageError):
        hostile_frames()[name].image.pixels()


@pytest.mark.parametrize("name", hostile_predictions())
def test_the_engine_lets_hostile_predictions_through_and_they_are_read_only(name):
    prediction = hostile_predictions()[name]
    check_prediction(prediction)

    assert prediction_fault(prediction) is None
    if hasattr(prediction, "confidence") and prediction.confidence.size:
        with pytest.raises(ValueError, match="read-only"):
            prediction.confidence[0] = 0


def test_hostile_datapoints_differ_and_their_own_names_are_plain():
    datapoints = hostile_datapoints().values()

    for names in ([d.item_id for d in datapoints], [d.content_key for d in datapoints]):
        assert len({*names}) == len(datapoints)
        assert all(name.replace("-", "").isalnum() for name in names)
    assert "../../../escaped" in {d.frame_id for d in datapoints}


def test_a_lost_lease_lets_nothing_be_saved():
    checkpoint = FakeCheckpoint({"a": "1"}, is_lost=True)
    with pytest.raises(LeaseLostError, match="another worker has the datapoint: stop at once"):
        checkpoint.save(b="2")

    assert (checkpoint.state, checkpoint.is_asked) == ({"a": "1"}, True)


class TestMemorySink(SinkContract):
    @pytest.fixture(autouse=True)
    def _fresh(self):
        type(self).component = memory_sink()

    def stored(self, sink, directory):
        return len(self.component.kept)


class TestScriptedSink(SinkContract):
    @pytest.fixture(autouse=True)
    def _fresh(self):
        type(self).component = scripted_sink()

    def stored(self, sink, directory):
        return len(self.component.kept)

    def faults(self, sink, directory):
        error = PermanentSinkError("sink 'test': no")
        return {PermanentSinkError: lambda: self.component.script.append(error)}


def test_memory_sinks_share_nothing(tmp_path):
    one, other = memory_sink(), memory_sink()
    one(one.Options(), make_context(tmp_path)).deliver(sample_datapoint(), FakeCheckpoint())

    assert (len(one.kept), len(other.kept)) == (1, 0)


def test_a_scripted_sink_follows_its_script_and_then_keeps(tmp_path):
    def note(datapoint, checkpoint):
        checkpoint.save(seen=datapoint.frame_id)
        return Receipt(status="created", url="https://example.com/1")

    kind = scripted_sink(PermanentSinkError("too dark"), Receipt(status="duplicate"), note)
    sink, checkpoint = kind(kind.Options(), make_context(tmp_path)), FakeCheckpoint()
    datapoint = sample_datapoint()
    with pytest.raises(PermanentSinkError, match="too dark"):
        sink.deliver(datapoint, checkpoint)
    answers = [sink.deliver(datapoint, checkpoint) for _ in range(4)]

    assert ["duplicate", "created", "created", "duplicate"] == [a.status for a in answers]
    assert {"seen": datapoint.frame_id} == checkpoint.state
    assert [datapoint] * 5 == kind.attempts
    assert [datapoint] == [*kind.kept.values()]


class Everything(Strategy):
    type_name = "everything"

    def evaluate(self, frame, prediction):
        return Verdict(match=True, reason="all")


def test_a_host_has_what_it_is_given_and_nothing_else():
    host = make_host(Everything, memory_sink(), local=al_framework_local)
    found = {
        (record.name, one.kind, one.type_name)
        for record in host.records
        for one in record.components
    }

    assert host.problems == ()
    assert {("test", "strategy", "everything"), ("test", "sink", "memory")} < found
    assert {name for name, _, _ in found} == {"test", "local"}
    assert make_host().records == ()


def test_a_host_refuses_what_is_no_component():
    with pytest.raises(TypeError, match=r"^<class 'int'> is of no kind: derive it from Strategy"):
        make_host(int)


def test_a_collection_runs_on_such_a_host():
    sink = memory_sink()
    config = {
        "active_learning": {
            "enabled": True,
            "persist_predictions": True,
            "sampling_strategies": [{"name": "all", "type": "everything"}],
            "batching_strategy": {"batches_name_prefix": "b", "recreation_interval": "never"},
        },
        "sinks": [{"type": "memory"}],
    }
    host = make_host(Everything, sink)
    with SteppedCollection(config, clock=FakeClock(), host=host) as collection:
        said = collection.submit(sample_jpeg(), sample_detections())
        collection.deliver()

    assert said == "accepted"
    assert ["all"] == [datapoint.reason for datapoint in sink.kept.values()]


def test_secrets_are_found_however_deep():
    from pydantic import BaseModel, SecretBytes, SecretStr

    class Part(BaseModel):
        keys: dict[str, SecretStr]

    class Whole(BaseModel):
        parts: tuple[Part, ...]
        raw: SecretBytes
        empty: SecretStr = SecretStr("")
        plain: str = "plain"

    whole = Whole(parts=(Part(keys={"a": "one"}), Part(keys={"b": "two"})), raw=b"three")

    assert ["one", "two", "three"] == secrets_of(whole)
