"""The page for those who write the receiving end: its receiver works, its tables are complete."""

import base64
import json
import re
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from al_framework.api import SinkPausedError
from al_framework.testing import FakeCheckpoint, FakeClock, make_context, sample_datapoint
from al_framework_webhook.sink import WebhookSink

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "webhook.md").read_text()
SECRET = base64.b64encode(b"s" * 32).decode()


@pytest.fixture
def clock():
    return FakeClock(time.time())


@pytest.fixture
def receiver(tmp_path):
    [source] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names = {"__name__": "receiver"}
    exec(compile(source, "docs/webhook.md", "exec"), names)  # noqa: S102 - our own page
    names |= {"SECRET": f"whsec_{SECRET}", "DIRECTORY": tmp_path / "received"}
    names["Receiver"].log_message = lambda *args: None
    with ThreadingHTTPServer(("127.0.0.1", 0), names["Receiver"]) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/collect"
        server.shutdown()
        thread.join()


@pytest.fixture
def make(receiver, tmp_path, clock):
    made = []

    def build(secret=SECRET):
        options = WebhookSink.Options(url=receiver, allow_insecure=True, secret=secret)
        made.append(WebhookSink(options, make_context(tmp_path, clock=clock)))
        return made[-1]

    yield build
    for sink in made:
        sink.close()


def test_the_receiver_of_the_page_takes_each_datapoint_once(make, tmp_path):
    sink = make()

    receipts = [sink.deliver(sample_datapoint(n), FakeCheckpoint()) for n in (0, 1, 0)]

    assert [r.status for r in receipts] == ["created", "created", "duplicate"]
    assert [r.remote_id for r in receipts] == ["item-000000", "item-000001", "item-000000"]
    files = sorted((tmp_path / "received").iterdir())
    assert [file.name for file in files] == ["item-000000.json", "item-000001.json"]
    document = json.loads(files[0].read_bytes())
    assert base64.b64decode(document["data"]["image"]["base64"]) == sample_datapoint(0).image


@pytest.mark.parametrize(("seconds", "secret"), [(0, "A" * 32), (400, SECRET), (-400, SECRET)])
def test_the_receiver_of_the_page_refuses_strangers_and_old_messages(
    make, clock, tmp_path, seconds, secret
):
    clock.advance(seconds)

    with pytest.raises(SinkPausedError, match="the signature is wrong"):
        make(secret).deliver(sample_datapoint(), FakeCheckpoint())

    assert not (tmp_path / "received").exists()


def test_every_option_is_on_the_page():
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)

    assert sorted(rows) == sorted(WebhookSink.Options.model_fields)
