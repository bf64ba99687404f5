"""Secrets in every place a configuration has for them, and no trace of any in all that comes out.

The product runs in processes of its own, through dead servers, refused keys, redirects, crashes and
components that put their key into every error; with logs at DEBUG and the variables of every frame
printed. Then every byte that it printed or wrote is searched.
"""

import base64
import json
import random
import re
import string
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from al_framework.testing.fault_server import Answer, FaultServer

CHILD = Path(__file__).with_name("children") / "canary.py"
PIECE = 6
HANG_S = 120.0
# Six letters in a row always hold one that is in no base64 and no hexadecimal number, so that
# pictures and checksums cannot look like a secret by chance.
MARK = "~"
INPUTS = "inputs"

LEAKY = '''
"""A plugin as careless as they come: its secrets are in everything it raises, logs and returns."""

import logging
import requests
from pydantic import Field, SecretStr
from al_framework.api import (
    Frame, FrameKey, Image, Options, PermanentSinkError, PredictionError, Predictor, Receipt, Sink,
    SinkPausedError, Source, SourceError, TransientSinkError, hookimpl,
)

module_logger = logging.getLogger("leaky.client")

class Leaks(Options):
    token: SecretStr = Field(description="Secret.")
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="Secret.")
    url: str = Field(default="http://127.0.0.1:9", description="Where.")
    fails_to_start: bool = Field(default=False, description="Whether.")

class Leak:
    def leak(self):
        token = self.options.token.get_secret_value()
        header = [one.get_secret_value() for one in self.options.headers.values()]
        return f"{token} {header}"

    def start(self):
        self.count = 0
        self.context.logger.info("starting with %s", self.leak())
        if self.options.fails_to_start:
            raise RuntimeError(self.leak())

    def close(self):
        if self.options.token:
            raise RuntimeError("closing " + self.leak())

class LeakySink(Leak, Sink[Leaks]):
    type_name = "leaky"

    @property
    def target(self):
        raise RuntimeError("target " + self.leak())

    def batch_size(self, batch_name, target):
        raise RuntimeError("batch " + self.leak())

    def deliver(self, datapoint, checkpoint):
        self.count += 1
        text = self.leak()
        module_logger.warning("delivering with %s", text)
        self.context.logger.debug("delivering with %s", text)
        turn = self.count % 7
        if turn == 0:
            raise TransientSinkError(f"try again {text}", retry_after_s=0.01)
        if turn == 1:
            raise PermanentSinkError(f"never {text}")
        if turn == 2:
            try:
                raise KeyError(text)
            except KeyError as exc:
                raise TransientSinkError("see the cause", retry_after_s=0.01) from exc
        if turn == 3:
            params = {"key": self.options.token.get_secret_value()}
            requests.get(self.options.url, params=params, timeout=5).raise_for_status()
        if turn == 4:
            raise ValueError(text)
        if turn == 5:
            return {"receipt": text}
        return Receipt(status="created", remote_id=text, url=f"http://x/?key={text}")

    def finish_run(self, summary):
        raise RuntimeError("finishing " + self.leak())

class LeakySource(Leak, Source[Leaks]):
    type_name = "leaky"

    def frames(self, skip):
        from al_framework.testing.fakes import sample_jpeg
        for number in range(3):
            key = FrameKey(source="s", frame_id=f"s/{number}", size=1, mtime_ns=number)
            if not skip(key):
                yield Frame(frame_id=f"s/{number}", image=Image(sample_jpeg(64, 48)), source="s")
        raise RuntimeError("source " + self.leak())

class LeakyPredictor(Leak, Predictor[Leaks]):
    type_name = "leaky"

    def predict(self, frame):
        self.count += 1
        if self.count == 1:
            raise RuntimeError("predictor " + self.leak())
        if self.count == 2:
            raise PredictionError("predictor " + self.leak())
        return None

class ShoutSink(Sink[Leaks]):
    """Tells nobody anything of itself; notifications have nothing to tell."""
    type_name = "calm"
    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")

@hookimpl
def al_register_sinks():
    return [LeakySink, ShoutSink]

@hookimpl
def al_register_sources():
    return [LeakySource]

@hookimpl
def al_register_predictors():
    return [LeakyPredictor]

@hookimpl
def al_datapoint_delivered(sink, datapoint, receipt):
    print("delivered", sink, receipt)
'''

DOCUMENT = """
active_learning:
  enabled: true
  persist_predictions: true
  sampling_strategies:
    - {name: all, type: random, traffic_percentage: 1}
  batching_strategy: {batches_name_prefix: b, recreation_interval: never, max_batch_images: 50}
spool: {min_free_bytes: 0, path: SPOOL}
"""


def make_key(rng):
    letters = string.ascii_letters + string.digits
    return "".join(MARK if n % (PIECE - 1) == 2 else rng.choice(letters) for n in range(40))


def forms(key):
    """Return every text whose presence gives a key away."""
    pieces = {key[at : at + PIECE] for at in range(len(key) - PIECE + 1)}
    whole = {key, quote(key, safe=""), quote_plus(key), json.dumps(key)[1:-1], key[::-1]}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            spelt = encode(bytes(before) + key.encode()).decode()
            # Two letters at each end belong to the neighbours, too.
            whole |= {spelt[at : at + 12] for at in range(4, len(spelt) - 16)}
    return {form.encode() for form in pieces | whole}


def found(keys, texts):
    """Return which keys show in which of the named bytes."""
    lines = []
    for place, key in keys.items():
        for name, data in texts.items():
            shown = [form for form in sorted(forms(key)) if form in data]
            if shown:
                at = data.index(shown[0])
                around = data[max(0, at - 200) : at + 100].decode(errors="replace")
                lines.append(f"{name} shows the {place} key as {shown[0].decode()!r}: …{around}…")
    return lines


class Canary:
    """A directory with configurations, and what has come out of the product there."""

    def __init__(self, directory, server, rng, key):
        self.directory = directory
        self.server = server
        places = ["env", "file", "literal", "header", "redis", "query", "source", "predictor"]
        self.keys = {place: make_key(rng) for place in places}
        self.keys["env"] = key  # is searched for once more when all tests have ended
        # A webhook's secret is base64 of random bytes; these are letters, so that we know them.
        self.keys["webhook"] = base64.b64encode(rng.randbytes(30)).decode()
        self.printed = {}
        inputs = directory / INPUTS
        inputs.mkdir()
        (inputs / "key.txt").write_text(self.keys["file"])
        self._install(inputs)

    def write(self, name, text):
        """Write a configuration; secrets stand in it by place: ``<env>``."""
        for place, key in self.keys.items():
            text = text.replace(f"<{place}>", key)
        text = text.replace("<server>", self.server.url)
        (self.directory / name).write_text(text + DOCUMENT.replace("SPOOL", f"kept-{name}-spool"))

    def run(self, *command, name, code=None):
        """Run a command here; everything it prints is kept."""
        environ = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.directory),
            "PYTHONPATH": str(self.directory / INPUTS),
            "CANARY_ENV": self.keys["env"],
            "CANARY_HEADER": self.keys["header"],
            "CANARY_WEBHOOK": self.keys["webhook"],
            "COLUMNS": "200",
        }
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=environ,
            capture_output=True,
            timeout=HANG_S,
            check=False,
        )
        self.printed[name] = done.stdout + done.stderr
        shown = self.printed[name].decode(errors="replace")
        assert code is None or done.returncode == code, (done.returncode, shown[-3000:])
        return shown

    def everything(self):
        """Return all bytes that were printed or written, by name."""
        inputs = {self.directory / name for name in (INPUTS, *self.configurations())}
        files = {
            str(path.relative_to(self.directory)): path.read_bytes()
            for path in self.directory.rglob("*")
            if path.is_file() and not {path, *path.parents} & inputs
        }
        return {**files, **self.printed}

    def configurations(self):
        return [path.name for path in self.directory.glob("*.yaml")]

    def check(self):
        """Search everything."""
        texts = self.everything()

        assert found(self.keys, texts) == []
        return texts

    @staticmethod
    def _install(inputs):
        (inputs / "leaky.py").write_text(LEAKY)
        info = inputs / "leaky-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: leaky\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[al_framework]\nleaky = leaky\n")


@pytest.fixture
def canary(tmp_path, seed, canary):
    with FaultServer() as server:
        yield Canary(tmp_path, server, random.Random(seed), canary.key)
    for planted in ("leak.bin", *(path.name for path in tmp_path.glob("*.yaml"))):
        canary.allow(tmp_path / planted)


@pytest.fixture
def python():
    return sys.executable


AL = ("-c", "from al_framework.cli import main; main()", "-vv")
SINKS = """
sinks:
  - {name: leaky, type: leaky, token: "${CANARY_ENV}", headers: {A: "Bearer ${CANARY_HEADER}"},
     url: "<server>"}
  - {name: hook, type: webhook, url: "<server>/hook", allow_insecure: true,
     secret: "${CANARY_WEBHOOK}", headers: {Authorization: "Bearer <literal>"},
     query: {key: "<query>"}, timeout_s: 1, deadline_s: 2}
  - {name: rf, type: roboflow, api_key: "file:inputs/key.txt", project: p, api_url: "<server>",
     timeout_s: 1, deadline_s: 2}
"""
SOURCE = """
source: {type: leaky, token: <source>}
predictor: {type: leaky, token: <predictor>}
"""
FAILURES = {
    "revoked": [Answer(status=401, body=b"no such key: <all>")],
    "broken": [
        Answer(status=500, body=b"internal error: <all>"),
        Answer(how="reset_unanswered"),
        Answer(how="cut_midway", body=b"x" * 1000),
        Answer(status=302, headers={"Location": "http://127.0.0.2:9/<all>"}),
        Answer(status=200, body=b"<html>not json <all></html>"),
        Answer(status=429, headers={"Retry-After": "1"}),
    ],
}


def echoing(answers, keys):
    """Let the server repeat every key in what it answers, as error pages do."""
    # Those that it has been sent; of any other we cannot know that it is one.
    sent = ("env", "header", "literal", "query", "file", "webhook")
    everything = " ".join(keys[place] for place in sent)
    return [
        Answer(
            status=one.status,
            how=one.how,
            body=one.content.decode().replace("<all>", everything),
            headers={k: v.replace("<all>", keys["file"]) for k, v in one.headers.items()},
        )
        for one in answers
    ]


@pytest.mark.parametrize("name", FAILURES)
def test_a_program_whose_sinks_fail_in_every_way_shows_no_key(canary, python, name):
    canary.write("al.yaml", SINKS)
    canary.server.say(*echoing(FAILURES[name] * 30, canary.keys))
    shown = canary.run(python, str(CHILD), "al.yaml", name="library")
    texts = canary.check()

    assert "***" in shown
    assert "AL_" not in shown
    assert "al_offered_total 13.0" in shown
    assert any(key.startswith("kept-al.yaml-spool/obj/") for key in texts)


def test_a_server_that_is_down_makes_nobody_show_a_key(canary, python):
    canary.write("al.yaml", SINKS.replace("<server>", "http://127.0.0.1:9"))
    shown = canary.run(python, str(CHILD), "al.yaml", name="library")
    canary.check()

    assert "***" in shown


def test_a_crash_and_what_comes_after_it_show_no_key(canary, python):
    canary.write("crash.yaml", SINKS)
    canary.server.say(*echoing(FAILURES["broken"] * 30, canary.keys))
    canary.run(python, str(CHILD), "crash.yaml", name="crash", code=-9)
    canary.run(
        python,
        *AL,
        "spool",
        "status",
        "-c",
        "crash.yaml",
        "--json",
        name="status",
    )
    canary.check()


def test_commands_show_no_key(canary, python):
    canary.write("al.yaml", SOURCE + SINKS)
    refusals = echoing([Answer(status=400, body=b"no: <all>")], canary.keys)
    canary.server.otherwise = lambda _: refusals[0]
    runs = [
        ("run", "al.yaml", "--json"),
        ("check", "al.yaml"),
        ("doctor",),
        ("plugins", "list"),
        ("plugins", "show", "leaky"),
        ("schema",),
        ("explain", "al.yaml", "s/0"),
        ("spool", "status", "-c", "al.yaml", "--json"),
        ("spool", "verify", "-c", "al.yaml", "--json"),
        ("dead", "list", "-c", "al.yaml", "--json"),
        ("dead", "export", "-c", "al.yaml", "exported"),
    ]
    for arguments in runs:
        canary.run(python, *AL, *arguments, name=" ".join(arguments))
    listed = canary.printed["dead list -c al.yaml --json"].decode()
    item = re.search(r'"item_id": "([^"]+)"', listed).group(1)
    for arguments in (
        ("dead", "show", item, "-c", "al.yaml"),
        ("dead", "show", item, "-c", "al.yaml", "--json"),
        ("dead", "retry", item, "-c", "al.yaml"),
        ("spool", "drain", "-c", "al.yaml", "--timeout", "2"),
        ("dead", "drop", "--all", "--yes", "-c", "al.yaml"),
        ("spool", "gc", "-c", "al.yaml"),
        ("init", "other.yml"),
    ):
        # 1 is the end of a drain that leaves something, 2 would be a mistake in the command.
        canary.run(python, *AL, *arguments, name=" ".join(arguments), code=arguments[1] == "drain")
    texts = canary.check()

    assert b'"accepted": 1' in texts["run al.yaml --json"]
    assert b"***" in texts["run al.yaml --json"]


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("api_key: <literal>, project: p, api_kez: <env>", "api_kez: unknown key"),
        ("api_key: [<literal>], project: p", "api_key: "),
        ("api_key: {<literal>: <literal>}, project: p", "api_key: "),
        ("api_key: <literal>, project: '<literal>/3'", "project: "),
        ("api_key: '<literal>, project: p", "is not YAML"),
        ("api_key: &a <literal>, project: *a", "is not allowed"),
        ("api_key: <literal>, api_key: <literal>, project: p", "given twice"),
    ],
)
def test_a_mistake_beside_a_key_shows_no_key(canary, python, mistake, message):
    canary.write("al.yaml", f"sinks:\n  - {{type: roboflow, {mistake}}}\n")
    shown = canary.run(python, str(CHILD), "al.yaml", name="library")
    shown += canary.run(
        python,
        *AL,
        "check",
        "al.yaml",
        name="check",
    )
    canary.check()

    assert message in shown


def test_a_component_that_cannot_start_shows_no_key(canary, python):
    canary.write(
        "al.yaml",
        SINKS.replace(
            "name: leaky, type: leaky,", "name: leaky, type: leaky, fails_to_start: true,"
        ),
    )
    shown = canary.run(python, str(CHILD), "al.yaml", name="library")
    canary.check()

    assert "sink 'leaky' (plugin 'leaky') could not start: RuntimeError: *** ['***']" in shown


def test_a_ledger_that_is_down_shows_no_key(canary, python):
    canary.write(
        "al.yaml",
        'limits: {ledger: redis, redis_url: "redis://user:<redis>@127.0.0.1:9/0"}\n'
        "sinks: [{type: calm, token: <env>}]\n",
    )
    text = (canary.directory / "al.yaml").read_text()
    limits = "traffic_percentage: 1, limits: [{type: minutely, value: 5}]"
    (canary.directory / "al.yaml").write_text(text.replace("traffic_percentage: 1", limits))
    shown = canary.run(python, str(CHILD), "al.yaml", name="library")
    canary.check()

    assert "limiter_unavailable" in shown


@pytest.mark.parametrize(
    "spell", [str, quote, lambda key: base64.b64encode(f"u:{key}".encode()).decode()]
)
def test_the_search_finds_a_key_that_is_there(canary, spell):
    key = canary.keys["env"]
    (canary.directory / "leak.bin").write_bytes(b"\0\xff" + spell(key).encode() + b"\xff")

    with pytest.raises(AssertionError, match=r"leak\.bin shows the env key"):
        canary.check()


def test_the_search_finds_a_piece_of_six_letters(canary):
    piece = canary.keys["file"][11:17]
    canary.printed["out"] = piece.encode()
    (line,) = found(canary.keys, canary.everything())

    assert line.startswith(f"out shows the file key as {piece!r}")
