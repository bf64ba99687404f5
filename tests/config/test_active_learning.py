import contextlib
import json
import pathlib
import re

import pytest

from al_framework.api import ConfigurationError

SHARED = pathlib.Path(__file__).resolve().parents[2].parent / "shared"
AT = "active_learning"
FIRST = f"{AT}.sampling_strategies[0]"
CLOSE = "(strategy type 'close_to_threshold', plugin 'strategies')"
TAG = "should be 1 to 64 letters (a-z), digits and - _ : / . [ ] < > { } @"


def put(**values):
    return lambda section: section.update(values)


def remove(key):
    return lambda section: section.pop(key)


def strategy(**values):
    return lambda section: section["sampling_strategies"][0].update(values)


def batching(**values):
    return lambda section: section["batching_strategy"].update(values)


FAULTS = [
    (put(taggs=[]), f"{AT}.taggs: unknown key, did you mean 'tags'?"),
    (remove("enabled"), f"{AT}.enabled: is missing: false switches collection off; nothing else"),
    (put(enabled=0), f"{AT}.enabled: should be true or false, not 0"),
    (put(enabled="no"), f"{AT}.enabled: should be true or false, not 'no'"),
    (remove("persist_predictions"), f"{AT}.persist_predictions: is missing: whether the model's"),
    (put(persist_predictions=1), f"{AT}.persist_predictions: should be true or false, not 1"),
    (remove("batching_strategy"), f"{AT}.batching_strategy: is missing: how collected pictures"),
    (put(batching_strategy=[]), f"{AT}.batching_strategy: should be a mapping, not an empty list"),
    (remove("sampling_strategies"), f"{AT}.sampling_strategies: is missing: which pictures to"),
    (
        put(sampling_strategies=[]),
        f"{AT}.sampling_strategies: should be a list of at least 1 entry, not an empty list",
    ),
    (put(sampling_strategies={}), f"{AT}.sampling_strategies: should be a list, not a mapping"),
    (put(sampling_strategies=None), f"{AT}.sampling_strategies: should be a list, not null"),
    (put(max_image_size=5), f"{AT}.max_image_size: should be a list, not 5"),
    (put(max_image_size=[5]), f"{AT}.max_image_size[1]: is missing: the list is too short"),
    (put(max_image_size=[0, 5]), f"{AT}.max_image_size[0]: should be greater than 0, not 0"),
    (put(max_image_size=[1, 2, 3]), f"{AT}.max_image_size: should be a list of at most 2 entries"),
    (put(jpeg_compression_level=0), f"{AT}.jpeg_compression_level: should be at least 1, not 0"),
    (put(jpeg_compression_level=101), f"{AT}.jpeg_compression_level: should be at most 100, not"),
    (put(tags="abc"), f"{AT}.tags: should be a list, not 'abc'"),
    (put(tags=None), f"{AT}.tags: should be a list, not null"),
    (put(tags=[""]), f"{AT}.tags[0]: {TAG}, not ''"),
    (put(tags=["ok", "no spaces"]), f"{AT}.tags[1]: {TAG}, not 'no spaces'"),
    (put(tags=["x" * 65]), f"{AT}.tags[0]: {TAG}, not "),
    (put(selection="best"), f"{AT}.selection: should be 'first_match', not 'best'"),
    (put(target_project=5), f"{AT}.target_project: should be text, not 5"),
    (batching(max_batch_images=0), f"{AT}.batching_strategy.max_batch_images: should be greater"),
    (
        batching(recreation_interval="dayly"),
        (
            f"{AT}.batching_strategy.recreation_interval: should be 'never', 'daily', 'weekly' or "
            "'monthly' (did you mean 'daily'?), not 'dayly'"
        ),
    ),
    (
        batching(batches_name_prefix=5),
        f"{AT}.batching_strategy.batches_name_prefix: should be text",
    ),
    (
        batching(batches_name_prefix="a\u202eb"),
        f"{AT}.batching_strategy.batches_name_prefix: should be text on one line without control",
    ),
    (batching(prefix="x"), f"{AT}.batching_strategy.prefix: unknown key, "),
    (put(sampling_strategies=["random"]), f"{FIRST}: should be a mapping such as {{type: "),
    (strategy(name=""), f"{FIRST}.name: should be text on one line that is not empty, not ''"),
    (strategy(name="a\nb"), f"{FIRST}.name: should be text on one line that is not empty, not"),
    (strategy(name=None), f"{FIRST}.name: should be text, not null"),
    (
        strategy(name="some"),
        f"{AT}.sampling_strategies[1].name: the name 'some' is taken by {FIRST}: give each its",
    ),
    (strategy(tags=["a b"]), f"{FIRST}.tags[0]: {TAG}, not 'a b'"),
    (strategy(limits=None), f"{FIRST}.limits: should be a list, not null"),
    (
        strategy(limits=[{"type": "minutely"}]),
        f"{FIRST}.limits[0].value: is missing: datapoints in",
    ),
    (
        strategy(limits=[{"type": "minutly", "value": 1}]),
        (
            f"{FIRST}.limits[0].type: should be 'minutely', 'hourly' or 'daily' (did you mean "
            "'minutely'?), not 'minutly'"
        ),
    ),
    (
        strategy(limits=[{"type": "daily", "value": 0}]),
        f"{FIRST}.limits[0].value: should be greater than 0, not 0",
    ),
    (
        strategy(type="close_to_treshold"),
        (
            f"{FIRST}.type: there is no strategy type 'close_to_treshold' (did you mean "
            "'close_to_threshold'?); installed strategy types: 'classes_based', "
            "'close_to_threshold', 'detections_number_based', 'random'; failed to load: "
        ),
    ),
    (strategy(epsilon=1.5), f"{FIRST}.epsilon: should be at most 1, not 1.5 {CLOSE}"),
    (strategy(limit=[]), f"{FIRST}.limit: unknown key, did you mean 'limits'? {CLOSE}"),
    (
        put(
            sampling_strategies=[
                {
                    "name": "n",
                    "type": "detections_number_based",
                    "probability": 1,
                    "more_than": 2,
                    "less_than": 2,
                }
            ]
        ),
        f"{FIRST}: `more_than` must be less than `less_than` (strategy type 'detections_number_",
    ),
]


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_a_fault_is_named_with_its_place_and_what_to_do(good, faults_of, change, message):
    change(good["active_learning"])
    found = faults_of(good)

    assert len(found) == 1, found
    assert found[0].startswith(message)


def test_every_strategy_needs_a_name(good, faults_of):
    del good["active_learning"]["sampling_strategies"][0]["name"]
    (found,) = faults_of(good)

    assert found.startswith(f"{FIRST}.name: is missing: names the strategy; unique in the document")


def test_a_missing_document_is_explained(good, faults_of):
    del good["active_learning"]
    message = (
        "active_learning: is missing: a Roboflow Active Learning document that says which frames "
        "to collect; or name in `configuration` what fetches one"
    )

    assert [message] == faults_of(good)


def test_a_document_that_is_no_mapping_is_refused(good, faults_of):
    good["active_learning"] = None
    message = "should be a Roboflow Active Learning document, a mapping, not null"

    assert [f"active_learning: {message}"] == faults_of(good)


def test_strategies_keep_their_order_tags_and_limits(good, load):
    configuration = load(good)
    hard, some = configuration.strategies

    assert (hard.entry.name, hard.entry.type_name) == ("hard", "close_to_threshold")
    assert (hard.tags, [(x.type, x.value) for x in hard.limits]) == (("a",), [("minutely", 10)])
    assert (some.entry.name, some.tags, some.limits) == ("some", (), ())
    assert hard.entry.options.threshold == 0.25


def test_defaults_are_roboflows(good, load):
    section = load(good).active_learning

    assert (
        section.max_image_size,
        section.jpeg_compression_level,
        section.tags,
        section.target_workspace,
        section.target_project,
        section.selection,
    ) == (None, 95, (), None, None, "first_match")
    assert section.batching_strategy.max_batch_images is None


def test_the_whole_documented_form_is_accepted(good, load):
    good["active_learning"].update(
        max_image_size=[1200, 640],
        jpeg_compression_level=75,
        tags=["line-3", "a:b/c.d[e]<f>{g}@h_i"],
        target_workspace="ws",
        target_project="proj",
        selection="first_match",
    )
    good["active_learning"]["batching_strategy"]["max_batch_images"] = 500
    section = load(good).active_learning

    assert (section.max_image_size, section.jpeg_compression_level) == ((1200, 640), 75)
    assert section.tags == ("line-3", "a:b/c.d[e]<f>{g}@h_i")
    assert (section.target_workspace, section.target_project) == ("ws", "proj")
    assert section.batching_strategy.max_batch_images == 500


def test_null_means_unlimited_where_roboflow_says_so(good, load):
    good["active_learning"].update(max_image_size=None, target_workspace=None, target_project=None)
    good["active_learning"]["batching_strategy"]["max_batch_images"] = None
    good["active_learning"]["sampling_strategies"][0]["selected_class_names"] = None
    section = load(good).active_learning

    assert (section.max_image_size, section.batching_strategy.max_batch_images) == (None, None)


def test_the_stray_max_batch_images_of_a_strategy_is_ignored(good, load):
    good["active_learning"]["sampling_strategies"][0]["max_batch_images"] = 10

    assert "max_batch_images" not in load(good).strategies[0].entry.options.model_dump()


@pytest.mark.parametrize("rest", [{}, {"sampling_strategies": [], "tags": "${NOT_SET}", "x": 1}])
def test_nothing_else_is_read_of_a_document_that_is_switched_off(good, load, rest):
    good["active_learning"] = {"enabled": False, **rest}
    configuration = load(good)

    assert not configuration.active_learning.enabled
    assert configuration.strategies == ()


def test_strategies_do_not_appear_twice_in_the_configuration(good, load):
    assert "sampling_strategies" not in repr(load(good).active_learning)


def vectors():
    path = SHARED / "vectors" / "config.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


# What Roboflow's documentation promises and its historical models let pass all the same.
STRICTER = re.compile(
    r"should be true or false, not (0|1|'true'|'false'|0\.0)|whole number, not ('|true|false)"
    r"|should be text, not a list|1 to 64 letters|text on one line|a list of at least 1 entry"
    r"|is taken by|should be greater than 0|unknown key|must be less than"
)
no_vectors = pytest.mark.skipif(not vectors(), reason="the golden vectors are not beside this repo")


@no_vectors
def test_what_the_historical_models_refuse_is_refused(good, load):
    accepted = []
    for vector in vectors():
        good["active_learning"] = vector["input"]["config"]
        if isinstance(vector["expected"]["pydantic"], dict):
            with contextlib.suppress(ConfigurationError):
                load(good)
                accepted.append(vector["input"]["config"]["sampling_strategies"])

    # They demanded both bounds, which the documentation calls optional (spec §14).
    expected = [
        {"name": "n", "type": "detections_number_based", "probability": 1.0, "less_than": 1}
    ]
    assert [expected] == accepted


@no_vectors
def test_what_they_accept_is_refused_for_breaking_a_documented_promise_only(good, load):
    refused = []
    for vector in vectors():
        good["active_learning"] = vector["input"]["config"]
        if isinstance(vector["expected"]["pydantic"], str):
            try:
                load(good)
            except ConfigurationError as exc:
                refused.append(exc.faults[0].message)

    assert len(refused) == 35
    assert [message for message in refused if not STRICTER.search(message)] == []


@no_vectors
def test_every_valid_vector_is_accepted_and_read_as_roboflow_reads_it(good, load):
    count = 0
    for vector in vectors():
        if vector["tag"] != "valid":
            continue
        good["active_learning"] = vector["input"]["config"]
        summary = vector["expected"]["remote"]["summary"]
        configuration = load(good)
        section = configuration.active_learning
        size = summary["max_image_size"]
        expected = {
            "max_image_size": None if size is None else tuple(size),
            "jpeg_compression_level": summary["jpeg_compression_level"],
            "persist_predictions": summary["persist_predictions"],
            "sampling_methods": summary["sampling_methods"],
            "batches_name_prefix": summary["batches_name_prefix"],
            "recreation_interval": summary["recreation_interval"],
            "max_batch_images": summary["max_batch_images"],
            "tags": summary["tags"],
            "strategies_tags": summary["strategies_tags"],
        }
        count += 1

        assert expected == {
            "max_image_size": section.max_image_size,
            "jpeg_compression_level": section.jpeg_compression_level,
            "persist_predictions": section.persist_predictions,
            "sampling_methods": [each.entry.name for each in configuration.strategies],
            "batches_name_prefix": section.batching_strategy.batches_name_prefix,
            "recreation_interval": section.batching_strategy.recreation_interval,
            "max_batch_images": section.batching_strategy.max_batch_images,
            "tags": list(section.tags),
            "strategies_tags": {
                each.entry.name: list(each.tags) for each in configuration.strategies
            },
        }

    assert count == 93
