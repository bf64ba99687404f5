"""Each check of the contracts is first shown failing, on a component that is wrong on purpose.

The components are in ``wrong/``, a module per kind, each with a table: contract, wrong component,
check, message.
"""

import importlib.util
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from unittest import SkipTest

import pytest

from al_framework.testing import contracts, sample_frame


def load(path):
    # By path, since tests are no packages; by name in sys.modules, since a contract looks there.
    name = f"wrong_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULES = {path.stem: load(path) for path in sorted(Path(__file__).with_name("wrong").glob("*.py"))}
WRONG = [row for module in MODULES.values() for row in module.WRONG]
STRATEGIES, SINKS = MODULES["strategies"], MODULES["sinks"]
SOURCES, PREDICTORS, ADAPTERS = MODULES["sources"], MODULES["predictors"], MODULES["adapters"]


def run(contract, component, test, directory):
    def prepare(self, directory):
        assert [] == [*directory.iterdir()], "prepare is promised an empty directory"
        return contract.prepare(self, directory)

    case = type("Case", (contract,), {"component": component, "prepare": prepare})()
    method = getattr(case, f"test_{test}")
    return method() if "tmp_path" not in method.__code__.co_varnames else method(directory)


def checks_of(contract):
    return [name.removeprefix("test_") for name in dir(contract) if name.startswith("test_")]


@pytest.mark.parametrize(
    ("contract", "test"),
    [
        pytest.param(contract, test, id=f"{contract.__name__}-{test}")
        for module in MODULES.values()
        for contract in module.CONTRACTS
        for test in checks_of(contract)
    ],
)
def test_a_right_component_passes(contract, test, tmp_path):
    run(contract, contract.component, test, tmp_path)


@pytest.mark.parametrize(
    ("contract", "component", "test", "message"),
    [pytest.param(*row, id=f"{row[1].__name__}-{row[2]}") for row in WRONG],
)
def test_a_wrong_component_fails(contract, component, test, message, tmp_path):
    with pytest.raises(AssertionError, match=message):
        run(contract, component, test, tmp_path)


@pytest.mark.parametrize(
    "contract",
    [
        contracts.AdapterContract,
        contracts.ConfigurationProviderContract,
        contracts.PredictorContract,
        contracts.SinkContract,
        contracts.SourceContract,
        contracts.StrategyContract,
    ],
)
def test_every_check_is_shown_failing(contract):
    shown = {test for case, _, test, _ in WRONG if issubclass(case, contract)}
    general = {test for _, _, test, _ in WRONG} & {*checks_of(contracts.ComponentContract)}
    elsewhere = {"module_imports_no_heavy_package"}  # needs a module of its own: below

    assert [] == sorted({*checks_of(contract)} - shown - general - elsewhere)


def test_every_wrong_component_is_in_the_table():
    listed = {component for _, component, _, _ in WRONG}
    right = {contract.component for module in MODULES.values() for contract in module.CONTRACTS}
    classes = {
        value
        for module in MODULES.values()
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
    }

    assert [] == sorted(
        one.__name__
        for one in classes - listed - right
        if hasattr(one, "type_name") and not any(one in other.__mro__ for other in listed)
    )


def test_what_is_no_prediction_is_named(tmp_path):
    changes = {"_adapted": lambda *_: [({}, {}, sample_frame())]}
    contract = type("Case", (ADAPTERS.AdapterTest,), changes)

    with pytest.raises(AssertionError, match="it is a 'dict', not a Prediction"):
        run(contract, ADAPTERS.GoodAdapter, "predictions_are_well_formed", tmp_path)


def module_with(text, directory, monkeypatch):
    path = directory / "component_module.py"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setitem(sys.modules, "component_module", type(sys)("component_module"))
    sys.modules["component_module"].__file__ = str(path)
    return type("Component", (STRATEGIES.GoodStrategy,), {"__module__": "component_module"})


def test_a_heavy_import_is_named(tmp_path, monkeypatch):
    (tmp_path / "torch.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    component = module_with("import torch", tmp_path, monkeypatch)

    with pytest.raises(AssertionError, match=r"'component_module' imports torch: do that in start"):
        run(STRATEGIES.StrategyTest, component, "module_imports_no_heavy_package", tmp_path)


def test_a_module_that_does_not_import_is_named(tmp_path, monkeypatch):
    component = module_with("import nobody_has_this", tmp_path, monkeypatch)

    with pytest.raises(
        AssertionError, match=r"(?s)'component_module' does not import: .*nobody_has_this"
    ):
        run(STRATEGIES.StrategyTest, component, "module_imports_no_heavy_package", tmp_path)


def importing(*names):
    def evaluate(strategy, frame, prediction):
        for name in names:
            importlib.import_module(name)
        return STRATEGIES.Verdict(match=True)

    return type("Importing", (STRATEGIES.GoodStrategy,), {"evaluate": evaluate})


def test_a_heavy_import_in_evaluate_is_named_and_another_one_is_fine(tmp_path, monkeypatch):
    packages, directory = tmp_path / "packages", tmp_path / "directory"
    packages.mkdir()
    directory.mkdir()
    for name in ("torch", "light"):
        (packages / f"{name}.py").write_text("open(__file__).close()")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(packages)
    check = "evaluate_does_no_io"

    run(STRATEGIES.StrategyTest, importing("light"), check, directory)
    with pytest.raises(AssertionError, match=r"on 'detections' \(import of 'torch'\): do that in"):
        run(STRATEGIES.StrategyTest, importing("torch"), check, directory)
    for name in ("torch", "light"):
        del sys.modules[name]


@pytest.mark.parametrize(
    ("contract", "component", "changes", "test"),
    [
        (SOURCES.SourceTest, SOURCES.GivesOneFrame, {"resumable": False}, "skip_is_honoured"),
        (
            SINKS.SinkTest,
            SINKS.ForgetsDuplicates,
            {"deduplicates": False, "stored": lambda *_: 0},
            "a_second_delivery_is_a_duplicate",
        ),
        (
            SINKS.SinkTest,
            SINKS.ForgetsDuplicates,
            {"deduplicates": False, "stored": lambda *_: 0},
            "a_duplicate_is_recognised_after_a_restart",
        ),
    ],
)
def test_a_component_may_say_what_it_cannot(contract, component, changes, test, tmp_path):
    run(type("Case", (contract,), changes), component, test, tmp_path)


@pytest.mark.parametrize(
    ("contract", "method", "answer", "test", "message"),
    [
        (
            SOURCES.SourceTest,
            "unreadable",
            None,
            "what_cannot_be_read_is_a_source_error",
            r"unreadable\(\) names nothing: override it to have the error checked",
        ),
        (
            SINKS.SinkTest,
            "faults",
            {},
            "failures_are_told_apart",
            r"faults\(\) brings nothing about: override it to have errors checked",
        ),
        (
            ADAPTERS.AdapterTest,
            "broken_documents",
            (),
            "broken_documents_raise_prediction_errors",
            r"broken_documents\(\) is empty: override it to have the error checked",
        ),
    ],
)
def test_a_check_that_has_nothing_to_look_at_says_so(  # noqa: PLR0917 - the columns of a table
    contract, method, answer, test, message, tmp_path
):
    case = type("Case", (contract,), {method: lambda *_: answer})

    with pytest.raises(SkipTest, match=message):
        run(case, contract.component, test, tmp_path)


def test_a_strategy_may_announce_that_it_reads_pixels(tmp_path):
    component = type("Announced", (STRATEGIES.ReadsPixels,), {"needs_pixels": True})

    run(STRATEGIES.StrategyTest, component, "pixels_are_read_only_if_announced", tmp_path)


def test_a_predictor_may_leave_its_answer_to_an_adapter(tmp_path):
    component = type("Raw", (PREDICTORS.GoodPredictor,), {"predict": lambda *_: {"boxes": []}})

    for test in checks_of(PREDICTORS.PredictorTest):
        run(PREDICTORS.PredictorTest, component, test, tmp_path)


def test_a_close_that_hangs_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(contracts.component, "_CLOSE_LIMIT_S", 0.05)
    released = threading.Event()
    component = type("Hangs", (STRATEGIES.GoodStrategy,), {"close": lambda _: released.wait(60)})

    with pytest.raises(AssertionError, match=r"close is not over after 0\.05 s"):
        run(STRATEGIES.StrategyTest, component, "close_works_on_another_thread", tmp_path)
    released.set()


def test_threads_switch_often_while_deliveries_run_side_by_side_and_as_before_afterwards(tmp_path):
    seen = set()

    class Watching(SINKS.GoodSink):
        def deliver(self, datapoint, checkpoint):
            seen.add(sys.getswitchinterval())
            return super().deliver(datapoint, checkpoint)

    before = sys.getswitchinterval()
    sys.setswitchinterval(0.003)
    try:
        run(SINKS.SinkTest, Watching, "deliveries_can_run_side_by_side", tmp_path)
        after = sys.getswitchinterval()
    finally:
        sys.setswitchinterval(before)

    assert (seen, after) == ({1e-6}, 0.003)


def test_files_are_laid_out_once_for_a_check(tmp_path):
    def prepare(self, directory):
        (directory / "model.bin").mkdir()  # fails where it is there
        return {}

    case = type("Case", (STRATEGIES.StrategyTest,), {"prepare": prepare})()

    case.test_equal_inputs_give_equal_verdicts(tmp_path)


def test_options_come_from_the_class_or_from_the_test(tmp_path):
    case = STRATEGIES.StrategyTest()

    assert isinstance(case.prepare(tmp_path), Mapping)
    assert case.build(tmp_path).options.level == 0.25
    assert case.build(tmp_path, {}).options.level == 0.5
