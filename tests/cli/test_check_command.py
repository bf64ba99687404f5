import sys

import pytest
from click.testing import CliRunner

import al_framework_local
import al_framework_onnx
import al_framework_roboflow
from al_framework.api import hookimpl
from al_framework.cli.check import check
from al_framework.host.plugins import PluginHost

GOOD = """\
name: line-3
sources:
  - {name: cam, type: directory, path: frames}
active_learning:
  enabled: true
  persist_predictions: true
  sampling_strategies:
    - name: "[unsure]"
      type: close_to_threshold
      threshold: 0.4
      epsilon: 0.1
      probability: 1
      tags: [hard, "<b>"]
      limits: [{type: minutely, value: 10}, {type: daily, value: 500}]
    - {name: sample, type: random, traffic_percentage: 0.1}
  batching_strategy: {batches_name_prefix: al, recreation_interval: daily, max_batch_images: 99}
sinks:
  - {type: directory, path: collected}
batch_time_zone: Europe/Berlin
"""


class BrokenPlugin:
    @hookimpl
    def al_register_sinks(self):
        raise RuntimeError("no driver")


class PredictorPlugin:
    @hookimpl
    def al_register_predictors(self):
        from al_framework.api import Predictor

        class Model(Predictor):
            type_name = "model"

            def predict(self, frame):
                return None

        return [Model]

    @hookimpl
    def al_register_prediction_adapters(self):
        from al_framework.api import PredictionAdapter

        class Reader(PredictionAdapter):
            type_name = "reader"

            def accepts(self, document):
                return False

            def adapt(self, document, *, frame, prediction_type):
                raise NotImplementedError

        return [Reader]


PLUGINS = {"local": al_framework_local, "roboflow": al_framework_roboflow}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "frames").mkdir()

    def invoke(text, *, name="al.yaml", plugins=None, strict=False):
        if text is not None:
            (tmp_path / name).write_text(text)
        host = PluginHost.without_discovery(plugins or PLUGINS)
        settings = {"host": host, "strict_plugins": strict}
        return CliRunner().invoke(check, [name], obj=settings, terminal_width=200)

    return invoke


def test_a_good_file_is_ok_and_shows_what_it_would_do(run, tmp_path):
    result = run(GOOD)

    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    rows = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert rows[:-1] == [
        "al.yaml: ok",
        "name line-3",
        "sources cam: directory (plugin local)",
        (
            "strategies 1. [unsure]: close_to_threshold (plugin roboflow), limits 10 minutely, "
            "500 daily, tags hard <b>"
        ),
        "2. sample: random (plugin roboflow), limits none",
        "batches 'al', new daily, dates of Europe/Berlin, at most 99 pictures each",
        "sinks directory (plugin local)",
        f"spool {tmp_path / '.al' / 'line-3'}",
    ]
    assert rows[-1].startswith("hash ")


def test_predictor_and_adapter_are_shown(run):
    text = f"{GOOD}predictor: {{type: model}}\nadapter: {{type: reader, name: eyes}}\n"
    result = run(text, plugins={**PLUGINS, "models": PredictorPlugin()})
    rows = [" ".join(line.split()) for line in result.stdout.splitlines()]

    assert "predictor model (plugin models)" in rows
    assert "adapter eyes: reader (plugin models)" in rows


def test_the_pace_of_a_sink_is_shown(run):
    result = run(GOOD.replace("path: collected}", "path: collected, pace: {per_s: 2.5}}"))
    rows = [" ".join(line.split()) for line in result.stdout.splitlines()]

    assert "sinks directory (plugin local), 2.5 a second at the most" in rows


def test_a_secret_in_the_file_is_warned_of_once(run):
    sink = "sinks:\n  - {type: roboflow, workspace: w, project: p, api_key: abcdefgh}\n"
    text = GOOD.replace("sinks:\n  - {type: directory, path: collected}\n", sink)
    result = run(text)

    assert result.exit_code == 0, result.output
    assert result.stderr == (
        "Warning: sinks[0].api_key: a secret stands in the file itself: write ${NAME} for a"
        " variable of the environment, or file:PATH\n"
    )
    assert "abcdefgh" not in result.output


@pytest.mark.parametrize("verbose", [(), ("-v",)], ids=["plain", "verbose"])
def test_the_command_warns_of_a_secret_however_much_it_logs(desk, verbose):
    desk.add_frames(1)
    desk.write(more="  - {type: roboflow, workspace: w, project: p, api_key: abcdefgh}\n")
    result = desk.call(*verbose, "check")

    assert result.status == 0
    assert result.err.count("Warning: sinks[1].api_key: a secret stands in the file itself") == 1
    assert len(result.err.splitlines()) == 1
    assert "abcdefgh" not in result.out + result.err


def test_what_a_run_would_look_for_in_vain_is_warned_of(run, tmp_path):
    text = f"{GOOD}predictor: {{type: onnx, model: model.onnx}}\n"
    plugins = {**PLUGINS, "onnx": al_framework_onnx}
    (tmp_path / "frames").rmdir()
    before = run(text, plugins=plugins)
    (tmp_path / "frames").mkdir()
    (tmp_path / "model.onnx").touch()
    after = run(text, plugins=plugins)

    assert (before.exit_code, after.exit_code) == (0, 0)
    assert before.stderr == (
        "Warning: source 'cam': the directory that path names does not exist: create it or correct"
        " path before al run\n"
        "Warning: predictor 'onnx': the file that model names does not exist: create it or correct"
        " model before al run\n"
    )
    assert after.stderr == ""


def test_a_path_that_cannot_be_looked_at_is_left_to_the_run(run):
    result = run(GOOD.replace("path: frames", "path: '~nobody-of-that-name/frames'"))

    assert (result.exit_code, result.stderr) == (0, "")


def test_a_disabled_document_without_sources_is_ok(run):
    result = run("active_learning: {enabled: false}\nsinks: [{type: 'null'}]\n")
    rows = [" ".join(line.split()) for line in result.stdout.splitlines()]

    assert result.exit_code == 0
    assert "sources none" in rows
    assert "strategies none: active_learning is not enabled, nothing is collected" in rows


def test_batches_that_are_never_new_have_no_dates(run):
    result = run(
        GOOD.replace(
            "recreation_interval: daily, max_batch_images: 99", "recreation_interval: never"
        )
    )

    assert "'al', new never\n" in result.stdout


def test_all_faults_are_listed_with_exit_status_2(run):
    result = run(
        GOOD.replace("sample,", "'[unsure]',").replace("type: directory, path: c", "path: c")
    )

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "al.yaml: 2 faults in the configuration",
        (
            "  line 15: active_learning.sampling_strategies[1].name: the name '[unsure]' is taken "
            "by active_learning.sampling_strategies[0]: give each its own"
        ),
        "  line 18: sinks[0].type: is missing: choose one of 'directory', 'null', 'roboflow'",
    ]


def test_a_missing_file_is_one_fault(run):
    result = run(None)

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "al.yaml: 1 fault in the configuration",
        "  does not exist: run `al init` to write a first configuration",
    ]


def test_a_broken_plugin_beside_a_good_file_is_a_warning(run):
    result = run(GOOD, plugins={**PLUGINS, "broken": BrokenPlugin()})

    assert result.exit_code == 0
    assert result.stderr.startswith("Warning: plugin 'broken': al_register_sinks: it failed with")


def test_a_broken_plugin_is_an_error_if_plugins_must_be_sound(run):
    result = run(GOOD, plugins={**PLUGINS, "broken": BrokenPlugin()}, strict=True)

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: plugin 'broken': al_register_sinks: it failed with")
    assert result.stdout == ""


def test_a_missing_extra_of_the_limits_is_a_fault_that_names_it(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    result = run(f"{GOOD}limits: {{ledger: redis, redis_url: 'redis://host'}}\n")

    assert result.exit_code == 2
    assert result.stderr == (
        "al.yaml: 1 fault in the configuration\n"
        "  limits.ledger: the package 'redis' is not installed: run pip install"
        " 'al-framework[redis]'\n"
    )


def test_limits_on_a_server_need_no_server_to_be_checked(run):
    pytest.importorskip("redis")
    text = f"{GOOD}limits: {{ledger: redis, redis_url: 'redis://127.0.0.1:1'}}\n"

    assert run(text).exit_code == 0
