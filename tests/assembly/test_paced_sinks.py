"""The pace that stands at a sink is the one that it is given datapoints at."""

import io

import PIL.Image
import pytest

import al_framework_local
import al_framework_roboflow
from al_framework.api import Frame, Image
from al_framework.assembly import assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost
from al_framework.testing import FakeClock


def picture(shade):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (16, 16), (shade, shade, shade)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def clock():
    return FakeClock(1_700_000_000.0)


@pytest.fixture
def assembly(tmp_path, clock):
    document = {
        "active_learning": {
            "enabled": True,
            "persist_predictions": True,
            "sampling_strategies": [{"name": "all", "type": "random", "traffic_percentage": 1.0}],
            "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
        },
        "sinks": [
            {
                "name": "paced",
                "type": "directory",
                "path": str(tmp_path / "paced"),
                "pace": {"per_s": 0.5, "burst": 2},
            },
            {"name": "free", "type": "directory", "path": str(tmp_path / "free")},
        ],
        "spool": {"path": str(tmp_path / "spool"), "min_free_bytes": 0},
    }
    host = PluginHost.without_discovery(
        {"local": al_framework_local, "roboflow": al_framework_roboflow}
    )
    configuration = load_configuration(read_document(document), host, environ={})
    assembly = assemble(configuration, host, background=False, clock=clock)
    yield assembly
    assembly.stack.close()


def test_a_sink_with_a_pace_is_given_its_share_and_the_other_all(assembly, clock):
    for number in range(5):
        frame = Frame(frame_id=f"f{number}", image=Image(picture(number * 40)))
        [offer] = assembly.engine.offer(frame, None)
        assembly.engine.accept([assembly.engine.prepare(offer)])

    delivered = []
    for _ in range(8):
        while assembly.delivery.step():
            pass
        counts = assembly.counts().sinks
        delivered.append((counts["paced"].delivered, counts["free"].delivered))
        clock.advance(1.0)

    assert delivered == [(2, 5), (2, 5), (3, 5), (3, 5), (4, 5), (4, 5), (5, 5), (5, 5)]
