"""Components without a collection."""

import pytest
from pydantic import Field, SecretStr

from al_framework import document_faults, started_components
from al_framework.api import (
    ComponentError,
    ConfigurationError,
    Options,
    Predictor,
    hookimpl,
)
from al_framework.host.plugins import PluginHost
from al_framework.testing import FakeClock

LIFE = []


class ModelOptions(Options):
    weights: str = Field(default="w", description="A file.")
    api_key: SecretStr | None = Field(default=None, description="A key.")


class Model(Predictor[ModelOptions]):
    type_name = "model"

    def start(self):
        if self.options.weights == "missing":
            raise OSError("no such weights")
        LIFE.append(f"start {self.context.name}")

    def predict(self, frame):
        return {"predictions": []}

    def close(self):
        LIFE.append(f"close {self.context.name}")


class Plugin:
    @staticmethod
    @hookimpl
    def al_register_predictors():
        return [Model]


@pytest.fixture
def host():
    LIFE.clear()
    return PluginHost.without_discovery({"models": Plugin()})


def test_components_are_started_by_name_and_closed_at_the_end(tmp_path, host):
    file = tmp_path / "models.yaml"
    file.write_text("a/1: {type: model, api_key: '${KEY}'}\n'*': {type: model}\n")
    with started_components(
        "predictor", file, host=host, clock=FakeClock(), environ={"KEY": "hush-hush"}
    ) as found:
        key = found["a/1"].options.api_key.get_secret_value()
        running = list(LIFE)

    assert key == "hush-hush"
    assert ["start a/1", "start *"] == running
    assert ["close *", "close a/1"] == LIFE[2:]


def test_all_faults_come_at_once_with_their_lines(tmp_path, host):
    file = tmp_path / "models.yaml"
    file.write_text("a/1: {type: modle}\nb: {type: model, wieghts: x}\nc: 3\n")

    with (
        pytest.raises(ConfigurationError) as caught,
        started_components("predictor", file, host=host),
    ):
        pass

    texts = [str(fault) for fault in caught.value.faults]
    assert [1, 2, 3] == [fault.line for fault in caught.value.faults]
    assert "did you mean 'model'?" in texts[0]
    assert "unknown key, did you mean 'weights'?" in texts[1]
    assert "should be a mapping such as {type: model}, not 3" in texts[2]
    assert LIFE == []


def test_one_that_does_not_start_closes_those_before_it(host):
    entries = {"a": {"type": "model"}, "b": {"type": "model", "weights": "missing"}}

    with (
        pytest.raises(ComponentError, match=r"^predictor 'b' .* could not start: no such weights$"),
        started_components("predictor", entries, host=host),
    ):
        pass

    assert ["start a", "close b", "close a"] == LIFE


def test_installed_plugins_serve_where_no_host_is_given(tmp_path):
    entries = {"here": {"type": "directory", "path": str(tmp_path / "out")}}
    with started_components("sink", entries) as found:
        assert found["here"].location == str(tmp_path / "out")


@pytest.mark.parametrize(
    ("document", "places"),
    [
        ({"enabled": False}, []),
        ({"enabled": "yes"}, ["enabled"]),
        (3, [""]),
    ],
)
def test_a_document_is_checked_without_running_anything(document, places):
    faults = document_faults(document)

    assert set(places) <= {fault.path for fault in faults}
    assert bool(places) == bool(faults)
