import logging
from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from al_framework.api import (
    COMPONENT_KINDS,
    Classification,
    Component,
    ConfigurationProvider,
    MissingExtraError,
    Options,
    PredictionAdapter,
    Predictor,
    ProvidedConfiguration,
    Receipt,
    Sink,
    Source,
    Strategy,
    Unlabelled,
    Verdict,
    require,
)
from al_framework.testing import FakeCheckpoint, make_context, sample_frame


class MinimumOptions(Options):
    minimum: float = Field(description="Least value.")


class Typed(Strategy[MinimumOptions]):
    type_name = "typed"

    def evaluate(self, frame, prediction):
        return Verdict(match=self.options.minimum > 0.5)


class Nested(Strategy):
    type_name = "nested"

    class Options(Options):
        size: int = Field(1, description="How many.")

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


class Bare(Strategy):
    type_name = "bare"

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


class Child(Typed):
    type_name = "child"


class OneFrame(Source):
    type_name = "one_frame"

    def frames(self, skip):
        yield sample_frame()


class Deaf(PredictionAdapter):
    type_name = "deaf"

    def accepts(self, document):
        return False

    def adapt(self, document, *, frame, prediction_type):
        return Unlabelled()


class Blind(Predictor):
    type_name = "blind"

    def predict(self, frame):
        return Unlabelled()


class Nowhere(Sink):
    type_name = "nowhere"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


class Fixed(ConfigurationProvider):
    type_name = "fixed"

    def fetch(self):
        return ProvidedConfiguration(document=None, reason="off")


@pytest.mark.parametrize(
    ("component", "fields"),
    [
        (Typed, {"minimum"}),
        (Child, {"minimum"}),
        (Nested, {"size"}),
        (Bare, set()),
    ],
)
def test_options_model_comes_from_the_type_argument_or_the_nested_class(component, fields):
    assert set(component.Options.model_fields) == fields


def test_options_refuse_unknown_keys_and_never_change():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        MinimumOptions(minimum=1.0, maximum=2.0)
    options = MinimumOptions(minimum=1.0)
    with pytest.raises(ValidationError, match="frozen"):
        options.minimum = 2.0


def test_a_component_keeps_its_options_and_context(tmp_path):
    context = make_context(tmp_path)
    strategy = Typed(MinimumOptions(minimum=0.7), context)

    assert strategy.options.minimum == 0.7
    assert strategy.context is context
    assert strategy.evaluate(sample_frame(), Unlabelled()).match is True


def test_abstract_methods_are_named_when_one_is_missing(tmp_path):
    class Half(Strategy):
        type_name = "half"

    with pytest.raises(TypeError, match="evaluate"):
        Half(Options(), make_context(tmp_path))


@pytest.mark.parametrize("component", [Bare, OneFrame, Deaf, Blind, Nowhere, Fixed])
def test_default_life_cycle_does_nothing_and_closes_twice(component, tmp_path):
    made = component(Options(), make_context(tmp_path))
    made.close()
    made.start()
    made.close()
    made.close()

    assert isinstance(made, Component)


def test_defaults_of_optional_methods(tmp_path):
    context = make_context(tmp_path, name="cam")
    frame = sample_frame()
    source = OneFrame(Options(), context)

    assert source.recorded_prediction(frame) is None
    with pytest.raises(TypeError, match="source 'cam' does not know how many frames it has"):
        len(source)
    assert list(Deaf(Options(), context).split("x", frame=frame)) == [(frame, "x")]
    sink = Nowhere(Options(), context)
    assert sink.batch_size("b", sink.target) is None
    assert (sink.location, sink.finish_run(None)) == (None, None)
    strategy = Bare(Options(), context)
    assert strategy.state_dict() == {}
    assert strategy.load_state_dict({}) is None
    assert Fixed(Options(), context).fetch().refresh_after_s == 900.0


def test_context_resolves_relative_paths_from_the_configuration(tmp_path):
    context = make_context(tmp_path)

    assert context.resolve("frames") == tmp_path / "frames"
    assert context.resolve("/data") == Path("/data")
    assert context.resolve("~/x") == Path("~/x").expanduser()
    assert isinstance(context.logger, logging.Logger)


def test_require_imports_or_names_the_extra():
    assert require("json", extra="x").__name__ == "json"
    with pytest.raises(
        MissingExtraError,
        match=r"the package 'no_such_module' is not installed: run pip install "
        r"'my-plugin\[gpu\]'",
    ):
        require("no_such_module", extra="gpu", distribution="my-plugin")


def test_every_kind_is_an_abstract_component():
    for kind, base in COMPONENT_KINDS.items():
        assert issubclass(base, Component), kind
        assert base.__abstractmethods__, kind


def test_fake_checkpoint_remembers():
    checkpoint = FakeCheckpoint({"a": "1"})
    checkpoint.save(b="2")

    assert checkpoint.state == {"a": "1", "b": "2"}


def test_a_classification_may_name_a_top_class_it_did_not_score():
    import numpy as np

    prediction = Classification(
        class_name=("cat",), confidence=np.array([0.2]), image_size=(1, 1), top="dog"
    )

    assert prediction.top not in prediction.class_name
