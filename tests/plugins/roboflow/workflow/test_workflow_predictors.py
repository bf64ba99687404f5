"""Predictors for the command: a server, or those that a file names."""

from contextlib import ExitStack
from importlib.metadata import EntryPoint

import pytest
from pydantic import Field, SecretStr

from al_framework.api import AlFrameworkError, Options, Predictor
from al_framework_roboflow.workflow import WorkflowFaultsError
from al_framework_roboflow.workflow.predictors import file_predictors, server_predictor


class EyeOptions(Options):
    level: float = Field(default=0.5, ge=0, le=1)
    path: str = "x"


class Eye(Predictor[EyeOptions]):
    type_name = "eye"
    started: list = []
    closed: list = []

    def start(self):
        if self.options.path == "wrong":
            raise RuntimeError("no such weights")
        if self.options.path == "missing":
            raise AlFrameworkError("the weights 'missing' are not there")
        self.started.append(self.context.resolve(self.options.path))

    def predict(self, frame):
        return {"predictions": []}

    def close(self):
        self.closed.append(self.context.name)


class OtherEye(Eye):
    type_name = "eye"


def al_register_predictors():
    return [Eye]


class Second:
    @staticmethod
    def al_register_predictors():
        return [OtherEye]


class Broken:
    @staticmethod
    def al_register_predictors():
        raise ValueError("no weights")


class Silent:
    pass


@pytest.fixture
def announced(monkeypatch):
    """Announce this module, a second of its kind, a broken one and one without predictors."""
    monkeypatch.delenv("AL_DISABLE_PLUGINS", raising=False)
    plugins = {"a": EyePlugin, "b": Second, "c": Broken, "d": Silent}
    monkeypatch.setattr(EntryPoint, "load", lambda self: plugins[self.name])
    return [EntryPoint(name, "nowhere", "al_framework") for name in reversed(plugins)]


class EyePlugin:
    al_register_predictors = staticmethod(al_register_predictors)


@pytest.fixture
def read(tmp_path, announced):
    Eye.started.clear()
    Eye.closed.clear()

    def read(text):
        path = tmp_path / "models.yaml"
        path.write_text(text)
        with ExitStack() as stack:
            return file_predictors(path, stack, announced=announced)

    return read


def test_a_file_maps_models_to_started_predictors(read, tmp_path):
    found = read("some/1: {type: eye, level: 0.1, path: weights}\n'*': {type: eye}\n")

    assert {name: type(one) for name, one in found.items()} == {"some/1": Eye, "*": Eye}
    assert found["some/1"].options.level == 0.1
    assert Eye.started == [tmp_path / "weights", tmp_path / "x"]
    assert sorted(Eye.closed) == ["*", "some/1"]


def test_plugins_can_be_switched_off(read, monkeypatch):
    monkeypatch.setenv("AL_DISABLE_PLUGINS", "a, c")

    assert type(read("m: {type: eye}")["m"]) is OtherEye


FAULTS = [
    ("m: 3", r"\['m'\]: is 3: write \{type: <predictor>, …\} with its options"),
    ("m: {level: 1}", r"\['m'\]: is \{'level': 1\}: write \{type: <predictor>"),
    (
        "m: {type: ey}",
        (
            r"\['m'\].type: no plugin provides 'ey': did you mean 'eye'\?; plugin 'c' is broken "
            r"\(ValueError: no weights\)"
        ),
    ),
    ("m: {type: eye, level: 2}", r"\['m'\].level: input should be less than or equal to 1, not 2"),
    ("m: {type: eye, lvl: 2}", r"\['m'\].lvl: is unknown: did you mean 'level'\?"),
    ("[1]", r"holds \[1\]: map model ids to predictors"),
    ("{", "is no YAML: "),
    ("a: 1\na: 2", "is no YAML: .*duplicate key"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_a_fault_in_the_file_is_named(text, message, read):
    with pytest.raises(WorkflowFaultsError, match=message):
        read(text)

    assert Eye.started == []


def test_all_faults_of_the_file_are_listed(read):
    with pytest.raises(WorkflowFaultsError, match=r"models.yaml: 2 faults") as caught:
        read("m: 3\nn: {type: eye, level: 2}\nfine: {type: eye}")

    assert len(caught.value.faults) == 2


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WorkflowFaultsError, match="cannot be read: No such file"):
        file_predictors(tmp_path / "none.yaml", ExitStack())


def test_a_file_that_is_too_large_is_refused(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_bytes(b" " * (1024 * 1024 + 1))

    with pytest.raises(WorkflowFaultsError, match="is larger than 1048576 bytes"):
        file_predictors(path, ExitStack())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("wrong", "predictor 'm' could not start: RuntimeError: no such weights"),
        ("missing", "the weights 'missing' are not there"),
    ],
)
def test_a_predictor_that_cannot_start_is_named_and_closed(path, message, read):
    with pytest.raises(AlFrameworkError, match=message):
        read(f"m: {{type: eye, path: {path}}}")

    assert Eye.closed == ["m"]


def test_installed_plugins_are_found(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text("m: {type: nothing_like_it}")

    with pytest.raises(WorkflowFaultsError, match=r"known predictors: .*'onnx'"):
        file_predictors(path, ExitStack())


def test_a_server_leaves_thresholds_to_the_document():
    with ExitStack() as stack:
        found = server_predictor("http://127.0.0.1:9001/", SecretStr("key"), stack)

    assert found.options.confidence is None
    assert found.options.url == "http://127.0.0.1:9001"
    assert found.context.clock.monotonic() <= found.context.clock.monotonic()
    assert found.context.clock.time() > 0


def test_an_address_that_is_none_is_a_fault():
    expected = r"the command line: 1 fault .*\n  inference-url.url: has to begin with http://"
    with pytest.raises(WorkflowFaultsError, match=expected):
        server_predictor("localhost", None, ExitStack())
