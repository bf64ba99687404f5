"""`python -m al_framework_roboflow.server`, as its own process."""

import json
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from al_framework_roboflow.server import ServerNotStartedError, running_server, spawned_server
from al_framework_roboflow.server.command import serve

CONFIGURATION = {"enabled": True, "sampling_strategies": []}


def test_a_process_serves_what_its_options_say(connect, picture, tmp_path):
    config = tmp_path / "al.yaml"
    config.write_text(json.dumps(CONFIGURATION), encoding="utf-8")
    options = ["--workspace", "one", "--workspace", "two", "--project", "ds:classification"]
    options += ["--project", "two/other", "--config", str(config), "--store", str(tmp_path / "s")]
    options += ["--api-key", "first", "--api-key", "second:two", "--forget-pictures"]
    with spawned_server(options) as server:
        api = connect(server.url)

        assert {"workspace": "one"} == api.get("/", key="first").json()
        assert {"workspace": "two"} == api.get("/", key="second").json()
        assert api.get("/", key="third").status_code == 401
        assert "classification" == api.get("/one/ds", key="first").json()["project"]["type"]
        reply = api.get("/two/other/active_learning", key="second")
        assert CONFIGURATION == reply.json()
        image_id = api.upload(picture(), key="first").json()["id"]
        assert [1] == [
            batch["images"] for batch in server.held()["workspaces"]["one"]["ds"]["batches"]
        ]

    assert 0 == server.process.returncode
    assert picture() == (tmp_path / "s" / "one" / "ds" / f"{image_id}.png").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_one_line_and_ends_cleanly_on_a_signal(number):
    command = [sys.executable, "-m", "al_framework_roboflow.server", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        line = process.stdout.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)

    assert line.startswith("http://127.0.0.1:")
    assert ("", "", 0) == (out, err, process.returncode)


def test_a_signal_ends_the_command_and_frees_its_address(monkeypatch):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    seen = []

    @contextmanager
    def interrupted(*arguments, **options):
        with running_server(*arguments, **options) as server:
            seen.append(server.url)
            signal.raise_signal(signal.SIGTERM)
            yield server

    monkeypatch.setattr("al_framework_roboflow.server.command.running_server", interrupted)
    try:
        result = CliRunner().invoke(serve, [])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

    assert (0, [result.output.strip()]) == (result.exit_code, seen)


def test_a_port_in_use_is_said():
    with running_server() as server:
        port = server.url.rpartition(":")[2]
        result = CliRunner().invoke(serve, ["--port", port])

    assert result.exit_code == 1
    assert f"cannot listen on '127.0.0.1', port {port}: " in result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--project", "a:b:c"], "--project 'a:b:c': write it as [WORKSPACE/]NAME[:TYPE]"),
        (["--project", "w/a"], "--project 'w/a': add --workspace w, or use one of ws"),
        (["--project", "a b"], "project 'a b': a name consists of letters"),
        (["--api-key", ":ws"], "--api-key: the key is empty"),
        (["--api-key", "the-key:x"], "an API key stands for workspace 'x', which is none of"),
        (["--config", "list.yaml"], "--config 'list.yaml': an Active Learning document is a"),
        (["--config", "bad.yaml"], "--config 'bad.yaml' cannot be read: "),
        (["--config", "binary.yaml"], "--config 'binary.yaml' cannot be read: "),
        (["--config", "deep.yaml"], "--config 'deep.yaml' is nested too deeply"),
        (["--project", "a", "--project", "a:x"], "workspace 'ws' has two projects 'a': rename one"),
    ],
)
def test_options_that_cannot_work_are_refused(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.yaml").write_text("[]", encoding="utf-8")
    (tmp_path / "bad.yaml").write_text("{", encoding="utf-8")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "deep.yaml").write_text("[" * 5000, encoding="utf-8")

    result = CliRunner().invoke(serve, options)

    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert "the-key" not in result.output


def test_a_process_that_does_not_start_is_an_error(capfd):
    with (
        pytest.raises(ServerNotStartedError, match="the server said '' instead of its address"),
        spawned_server(["--project", "a b"]),
    ):
        pass

    assert "a name consists of" in capfd.readouterr().err


def test_a_process_that_does_not_end_is_killed():
    with spawned_server(end_timeout_s=0.2) as server:
        server.process.send_signal(signal.SIGSTOP)

    assert -signal.SIGKILL == server.process.returncode
