"""The command line: what it prints, how it ends, and what it makes of bad use."""

import json

import pytest
from click.testing import CliRunner

from al_framework_roboflow.conformance import verdicts
from al_framework_roboflow.conformance.command import conformance
from al_framework_roboflow.conformance.kinds import KINDS
from al_framework_roboflow.conformance.reading import Vector

NAME = {"batches_name_prefix": "b", "recreation_interval": "daily"}


def dated(case_id="names-1", day="2024-03-05", expected="b_2024_03_05", **changes):
    given = {**NAME, "local_now": f"{day}T10:00:00", **changes}
    return {"id": case_id, "tag": "any", "input": given, "expected": expected}


def tagged(case_id, expected, **changes):
    given = {
        "env_tags": ["line"],
        "tags": ["a"],
        "strategies": [{"name": "s", "tags": ["b"]}],
        "sampling_strategy": "s",
        "persist_predictions": True,
        "model_id": "m/1",
    }
    return {"id": case_id, "input": {**given, **changes}, "expected": expected}


@pytest.fixture
def directory(tmp_path):
    def write(**files):
        for name, cases in files.items():
            lines = cases if isinstance(cases, str) else "\n".join(map(json.dumps, cases))
            (tmp_path / f"{name}.jsonl").write_text(lines + "\n", encoding="utf-8")
        return str(tmp_path)

    return write


@pytest.fixture
def run():
    def invoke(*arguments):
        return CliRunner(env={"COLUMNS": "100"}).invoke(conformance, arguments)

    return invoke


def test_equal_and_deviating_cases_are_counted_by_name(directory, run):
    place = directory(
        batch_names=[dated(), dated("names-2", expected="None", batches_name_prefix=None)],
        tags=[
            tagged("tags-1", ["line", "a", "b", "m-1"]),
            tagged("tags-2", ["line", "a", "b", ""], model_id=""),
        ],
    )
    result = run(place)

    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["batch_names", "2", "1", "1", "refused-by-validation", "1", "0"] in rows
    assert ["tags", "2", "2", "0", "0"] in rows
    assert ["all", "4", "3", "1", "0"] in rows
    assert "no case failed" in result.stdout


def test_a_wrong_expectation_is_a_failure_that_is_shown_with_both_answers(directory, run):
    wrong = dated("names-7", expected="b_2024_03_06")
    result = run(directory(batch_names=[dated(), wrong]))

    assert result.exit_code == 1
    assert "batch_names names-7 (line 2)" in result.stdout
    assert 'expected "b_2024_03_06"' in result.stdout
    assert 'seen     "b_2024_03_05"' in result.stdout
    assert "1 failed" in result.stdout


def test_a_deviation_does_not_excuse_an_answer_that_it_does_not_demand(directory, run, monkeypatch):
    kind = KINDS["downscale"]
    answer = {"answer": lambda _: {"h": 7, "w": 9}}
    wrong = {**KINDS, "downscale": kind.__class__(**{**fields(kind), **answer})}
    monkeypatch.setattr("al_framework_roboflow.conformance.running.KINDS", wrong)
    long = {"h": 1, "w": 5000, "max_image_size": [100, 100]}
    case = {"id": "downscale-2", "input": long, "expected": {"error": "cv2.error"}}
    result = run(directory(downscale=[case]))

    assert result.exit_code == 1
    assert 'seen     {"h": 7, "w": 9}' in result.stdout
    assert "the deviation 'at-least-one-pixel' does not explain it" in result.stdout


NOSE = {"x": 4, "y": 2, "class": "a", "confidence": 1, "width": 2, "height": 2}


@pytest.mark.parametrize(
    ("name", "given", "theirs", "deviation"),
    [
        (
            "downscale",
            {"h": 1, "w": 5000, "max_image_size": [100, 100]},
            {"error": "cv2.error"},
            "at-least-one-pixel",
        ),
        (
            "encode",
            {"prediction": {"predicted_classes": ["a"]}, "prediction_type": "classification"},
            {"error": "PredictionFormatNotSupported"},
            "multi-label-text",
        ),
        (
            "rescale",
            {
                "prediction": {"predictions": [NOSE]},
                "scaling_factor": 0.5,
                "prediction_type": "object-detection",
            },
            {"predictions": [{**NOSE, "x": 8.0, "y": 4.0, "width": 4.0, "height": 4.0}]},
            "stored-frame",
        ),
    ],
)
def test_a_deviation_does_not_excuse_a_recording_that_it_does_not_explain(
    name, given, theirs, deviation
):
    def verdict(expected):
        return verdicts.judge(KINDS[name], Vector(id="x", line=1, input=given, expected=expected))

    assert verdict(theirs).name == deviation
    assert verdict(["something", "else"]).deviation == deviation


def fields(kind):
    return {name: getattr(kind, name) for name in kind.__dataclass_fields__}


@pytest.mark.parametrize(("shown", "left"), [("1", 2), ("2", 1), ("3", 0), ("0", 0)])
def test_as_many_failures_are_shown_as_asked_for(directory, run, shown, left):
    wrong = [dated(f"names-{n}", expected="x") for n in range(3)]
    result = run(directory(batch_names=wrong), "--failures", shown)

    assert result.stdout.count("expected ") == int(shown)
    assert ("more" in result.stdout) == (left > 0)
    assert not left or f"batch_names: and {left} more" in result.stdout
    assert "3 failed" in result.stdout


def test_a_long_answer_is_cut_short(directory, run):
    result = run(directory(batch_names=[dated(expected="x" * 5000)]))

    assert result.exit_code == 1
    assert "x..." in result.stdout
    assert len(result.stdout) < 2000


def test_json_holds_everything(directory, run):
    place = directory(batch_names=[dated(), dated("names-2", expected="x")], mine=[dated()])
    result = run(place, "--json")

    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["files"]["batch_names"] == {
        "cases": 2,
        "equal": 1,
        "deviating": {},
        "refused": {},
        "failed": 1,
        "failures": [
            {
                "id": "names-2",
                "line": 2,
                "expected": "x",
                "seen": "b_2024_03_05",
                "deviation": None,
            }
        ],
    }
    assert document["unknown"] == ["mine.jsonl"]
    assert document["failed"] == 1
    assert set(document["absent"]) == KINDS.keys() - {"batch_names"}


def test_files_that_are_absent_or_unknown_are_named(directory, run):
    result = run(directory(batch_names=[dated()], mine=[dated()]))

    assert result.exit_code == 0
    assert "not run, of no known kind: mine.jsonl" in result.stdout
    assert "absent: strategies, limits," in result.stdout


def test_a_refusal_is_shown_with_its_place(directory, run):
    given = dated("names-2", expected="x", recreation_interval="daily", local_now="never")
    refused = dated("names-3", expected="x", recreation_interval="yearly")
    result = run(directory(batch_names=[given, refused]), "--json")

    counts = json.loads(result.stdout)["files"]["batch_names"]
    assert counts["deviating"] == {"refused-by-validation": 1}
    assert counts["refused"] == {"recreation_interval": 1}


def test_an_input_that_breaks_our_rules_is_a_failure_and_the_rest_is_run(directory, run):
    broken = dated("names-1", local_now="never")
    result = run(directory(batch_names=[broken, {**dated(), "input": {}}, dated("names-3")]))

    assert result.exit_code == 1
    assert "names-1 (line 1)" in result.stdout
    assert "seen     \"ValueError: Invalid isoformat string: 'never'\"" in result.stdout
    assert "seen     \"KeyError: 'batches_name_prefix'\"" in result.stdout
    assert "2 failed" in result.stdout


def test_a_refusal_where_roboflow_fails_too_is_one_by_validation():
    vector = Vector(
        id="x",
        line=1,
        input={**NAME, "recreation_interval": 5, "local_now": "2024-03-05T10:00:00"},
        expected={"error": "ActiveLearningConfigurationDecodingError"},
    )

    verdict = verdicts.judge(KINDS["batch_names"], vector)
    assert verdict == ("refused-by-validation", ("recreation_interval",))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "no case: is no JSON: "),
        ("[1]", "no case: is no JSON object: give one case a line"),
        ('{"id": 1, "expected": 2}', "no case: lacks 'input'"),
        ("{}", "no case: lacks 'id', 'input', 'expected'"),
        ('{"id": 1, "input": 3, "expected": 2}', "no case: its 'input' is no JSON object"),
    ],
)
def test_a_line_that_is_no_case_has_failed_and_hides_no_other(directory, run, line, message):
    lines = "\n".join([json.dumps(dated()), line, json.dumps(dated("names-3"))])
    result = run(directory(batch_names=lines))
    rows = [row.split() for row in result.stdout.splitlines()]

    assert result.exit_code == 1
    assert ["batch_names", "3", "2", "0", "1"] in rows
    assert "batch_names line 2 (line 2)" in result.stdout
    assert message in result.stdout


def test_empty_lines_are_passed_over_and_counted_as_lines(directory, run):
    wrong = json.dumps(dated("names-2", expected="x"))
    result = run(directory(batch_names=f"\n{json.dumps(dated())}\n\n{wrong}\n\n"))

    assert "names-2 (line 4)" in result.stdout


def test_a_directory_that_is_none_is_bad_use(tmp_path, run):
    result = run(str(tmp_path / "nowhere"))

    assert result.exit_code == 2
    assert "nowhere: is no directory: name one that holds vector files" in result.stderr


def test_a_directory_without_vectors_is_bad_use(tmp_path, run):
    (tmp_path / "mine.jsonl").write_text("{}")
    result = run(str(tmp_path))

    assert result.exit_code == 2
    assert ": holds no vector file: they are called strategies.jsonl, " in result.stderr


def test_a_file_that_cannot_be_read_is_bad_use(tmp_path, run):
    (tmp_path / "tags.jsonl").mkdir()
    result = run(str(tmp_path))

    assert result.exit_code == 2
    assert "tags.jsonl: cannot be read: Is a directory" in result.stderr


def test_no_argument_is_bad_use(run):
    result = run()

    assert result.exit_code == 2
    assert "Missing argument 'DIRECTORY'" in result.stderr
