"""Each fault of a document is named with its place and what to do, all in one report."""

import pytest

from al_framework.api import ConfigurationError
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost

SHOP = "(sink type 'shop', plugin 'sinks')"
FOLDER = "(source type 'folder', plugin 'frames')"
FAILED = (
    "failed to load: plugin 'broken': al_register_sinks: it failed with RuntimeError: the driver "
    "is missing"
)
SINKS = "installed sink types: 'null', 'shop', 'warehouse'"
NAME = "should be 1 to 64 letters (a-z), digits, '.', '_' and '-', beginning with a letter or digit"


def remove(*keys):
    def change(document):
        for key in keys:
            del document[key]

    return change


def put(**values):
    return lambda document: document.update(values)


def sinks(*entries):
    return put(sinks=list(entries))


def shop(**options):
    return sinks({"type": "shop", **options})


FAULTS = [
    # the file as a whole
    (put(sinsk=[]), "sinsk: unknown key, did you mean 'sinks'?"),
    (
        put(zebra=1),
        (
            "zebra: unknown key, known are: 'name', 'source', 'sources', 'predictor', 'adapter', "
            "'active_learning', 'configuration', 'sinks', 'seed', 'spool', 'handoff', "
            "'delivery' and 4 more"
        ),
    ),
    (remove("sinks"), "sinks: is missing: where collected pictures go, one entry each"),
    (sinks(), "sinks: should be a list of at least 1 entry, not an empty list"),
    (put(sinks={"type": "null"}), "sinks: should be a list, not a mapping"),
    (
        sinks({"type": None}),
        'sinks[0].type: is nothing: write "null" in quotes',
    ),
    (put(sinks="null"), "sinks: should be a list, not 'null'"),
    (put(sources=None), "sources: should be a list, not null"),
    (put(source={"type": "folder", "path": "x"}), "source: stands beside `sources`: keep one of"),
    (put(name="a/b"), f"name: {NAME}, not 'a/b'"),
    (put(seed=-1), "seed: should be at least 0, not -1"),
    (put(seed=2**64), "seed: should be less than 18446744073709551616, not 18446744073709551616"),
    (put(seed="7"), "seed: should be a whole number, not '7'"),
    (put(seed=True), "seed: should be a whole number, not true"),
    (
        put(limits={"ledger": "files"}),
        "limits.ledger: should be 'sqlite', 'memory' or 'redis', not 'files'",
    ),
    (
        put(limits={"ledger": "sqllite"}),
        (
            "limits.ledger: should be 'sqlite', 'memory' or 'redis' (did you mean 'sqlite'?), not "
            "'sqllite'"
        ),
    ),
    (put(spool={"max_byte": 1}), "spool.max_byte: unknown key, did you mean 'max_bytes'?"),
    (put(spool={"max_items": 0}), "spool.max_items: should be greater than 0, not 0"),
    (put(spool={"path": 5}), "spool.path: should be text, not 5"),
    (put(spool=[]), "spool: should be a mapping, not an empty list"),
    (put(verify_images="ful"), "verify_images: should be 'structure' or 'full' (did you mean"),
    (put(plugins={"only": "x"}), "plugins.only: should be a list, not 'x'"),
    (put(plugins={"disable": [1]}), "plugins.disable[0]: should be text, not 1"),
    (
        put(batch_time_zone="Europe/Berln"),
        "batch_time_zone: there is no time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?",
    ),
    (put(batch_time_zone="/x"), "batch_time_zone: there is no time zone '/x'; write one such as"),
    (put(batch_time_zone="Europe"), "batch_time_zone: there is no time zone 'Europe'; "),
    (put(batch_time_zone=3), "batch_time_zone: should be text, not 3"),
    # entries
    (sinks("null"), "sinks[0]: should be a mapping such as {type: null}, not 'null'"),
    (put(sources=["x"]), "sources[0]: should be a mapping such as {type: folder}, not 'x'"),
    (put(predictor=["x"]), "predictor: should be a mapping such as {type: model}, not a list of 1"),
    (sinks({}), "sinks[0].type: is missing: choose one of 'null', 'shop', 'warehouse'"),
    (
        sinks({"typ": "null"}),
        (
            "sinks[0].type: is missing (did you mean it by 'typ'?): choose one of 'null', 'shop', "
            "'warehouse'"
        ),
    ),
    (sinks({"type": 5}), "sinks[0].type: should be text, not 5"),
    (sinks({"type": ""}), "sinks[0].type: should be text that is not empty, not ''"),
    (
        sinks({"type": "wharehouse"}),
        (
            "sinks[0].type: there is no sink type 'wharehouse' (did you mean 'warehouse'?); "
            f"{SINKS}; {FAILED}"
        ),
    ),
    (
        sinks({"type": "folder"}),
        f"sinks[0].type: there is no sink type 'folder'; 'folder' is a source type; {SINKS}; ",
    ),
    (sinks({"type": "null", "name": "a b"}), f"sinks[0].name: {NAME}, not 'a b'"),
    (sinks({"type": "null", "name": 5}), "sinks[0].name: should be text, not 5"),
    (
        sinks({"type": "null"}, {"type": "shop"}, {"type": "null"}),
        "sinks[2]: is called 'null' after its type, as is sinks[0]: give each a `name`",
    ),
    (
        sinks({"type": "null"}, {"type": "shop", "name": "null"}),
        "sinks[1].name: the name 'null' is taken by sinks[0]: give each its own",
    ),
    # options
    (
        put(sources=[{"type": "folder"}]),
        f"sources[0].path: is missing: directory of the pictures {FOLDER}",
    ),
    (
        put(sources=[{"type": "folder", "path": "x", "globb": "*"}]),
        f"sources[0].globb: unknown key, did you mean 'glob'? {FOLDER}",
    ),
    (
        sinks({"type": "null", "nmae": "x"}),
        "sinks[0].nmae: unknown key, did you mean 'name'? (sink",
    ),
    (
        sinks({"type": "null", "path": "x"}),
        "sinks[0].path: unknown key, known are: 'type', 'name', 'pace' (sink type 'null', plugin",
    ),
    (
        put(predictor={"type": "model", "model": "a", "threshold": 1.5}),
        "predictor.threshold: should be at most 1, not 1.5 (predictor type 'model', plugin",
    ),
    (
        put(adapter={"type": "reader", "x": 1}),
        "adapter.x: unknown key, known are: 'type', 'name' (prediction adapter type 'reader', ",
    ),
    (
        shop(mode="fst"),
        "sinks[0].mode: should be 'fast' or 'slow' (did you mean 'fast'?), not 'fst'",
    ),
    (shop(mode=3), f"sinks[0].mode: should be 'fast' or 'slow', not 3 {SHOP}"),
    (shop(workers=0), f"sinks[0].workers: should be greater than 0, not 0 {SHOP}"),
    (shop(workers=65), f"sinks[0].workers: should be less than 65, not 65 {SHOP}"),
    (shop(workers=2.5), f"sinks[0].workers: should be a whole number, not 2.5 {SHOP}"),
    (shop(workers="4"), f"sinks[0].workers: should be a whole number, not '4' {SHOP}"),
    (shop(workers=None), f"sinks[0].workers: should be a whole number, not null {SHOP}"),
    (shop(size="big"), f"sinks[0].size: should be a whole number or 'auto', not 'big' {SHOP}"),
    (shop(retries={"a": "x"}), f"sinks[0].retries.a: should be a whole number, not 'x' {SHOP}"),
    (shop(crop=[1]), f"sinks[0].crop[1]: is missing: the list is too short {SHOP}"),
    (
        shop(crop=[1, 2, 3]),
        f"sinks[0].crop: should be a list of at most 2 entries, not a list of 3 entries {SHOP}",
    ),
    (shop(labels={"a b": "y"}), f"sinks[0].labels['a b']: should be true or false, not 'y' {SHOP}"),
    (
        shop(url="x" * 61),
        f"sinks[0].url: should be text of at most 60 letters, not '{'x' * 40}…' {SHOP}",
    ),
    (shop(login={"user": "u"}), f"sinks[0].login.token: is missing: password {SHOP}"),
    (
        shop(logins=[{"user": "u", "token": "t", "usr": "x"}]),
        f"sinks[0].logins[0].usr: unknown key, did you mean 'user'? {SHOP}",
    ),
    (shop(api_key=5), f"sinks[0].api_key: should be text {SHOP}"),
    (shop(headers={"a": 1}), f"sinks[0].headers.a: should be text {SHOP}"),
    (shop(port="8O"), f"sinks[0].port: should be a number, not '8O' {SHOP}"),
    (shop(step=3), f"sinks[0].step: should be a multiple of 2, not 3 {SHOP}"),
    (shop(code="abc"), f"sinks[0].code: should be text of the form ^[0-9]+$, not 'abc' {SHOP}"),
    (shop(word="a"), f"sinks[0].word: should be text of at least 2 letters, not 'a' {SHOP}"),
    (shop(day="x"), f"sinks[0].day: should be a date, not 'x' {SHOP}"),
    (shop(even=3), f"sinks[0].even: 3 is odd {SHOP}"),
    (shop(silent=1), f"sinks[0].silent: is refused {SHOP}"),
    (shop(prime=4), f"sinks[0].prime: that is not a prime number {SHOP}"),
    (shop(site="x"), "sinks[0].site: should be a URL, not 'x'"),
    (shop(ratio=1.25), "sinks[0].ratio: decimal input should have no more than 2 digits in total"),
    (shop(ident="x"), "sinks[0].ident: should be a valid UUID, "),
    (
        sinks({"type": "warehouse"}),
        (
            "sinks[0]: cannot be checked: RuntimeError: no such table; the key was : report this "
            "to the plugin's author (sink type 'warehouse', plugin 'sinks')"
        ),
    ),
    (
        sinks({"type": "warehouse", "mute": True}),
        "sinks[0]: cannot be checked: MuteError: its text cannot be told (ZeroDivisionError): ",
    ),
]


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_a_fault_is_named_with_its_place_and_what_to_do(good, faults_of, change, message):
    change(good)
    found = faults_of(good)

    assert len(found) == 1, found
    assert found[0].startswith(message)


def test_faults_of_the_shorthand_are_named_as_written(good, faults_of):
    del good["sources"]
    good["source"] = {"type": "folder", "path": 3}

    assert [f"source.path: should be text, not 3 {FOLDER}"] == faults_of(good)


def test_all_faults_come_in_one_report_in_the_order_of_the_file(tmp_path, host):
    path = tmp_path / "al.yaml"
    path.write_text(
        "sinks:\n"
        "  - type: shop\n"
        "    workers: 0\n"
        "    api_key: ${NO_KEY}\n"
        "  - {type: nul}\n"
        "nmae: x\n"
        "active_learning:\n"
        "  enabled: true\n"
        "  persist_predictions: maybe\n"
        "  sampling_strategies:\n"
        "    - {name: a, type: random, traffic_percentage: 2}\n"
        "    - {name: a, type: randm}\n"
        "seed: x\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(read_document(path), host, environ={})

    faults = caught.value.faults
    expected = [
        (3, "sinks[0].workers", "sinks"),
        (4, "sinks[0].api_key", None),
        (5, "sinks[1].type", None),
        (6, "nmae", None),
        (9, "active_learning.persist_predictions", None),
        (11, "active_learning.sampling_strategies[0].traffic_percentage", "strategies"),
        (12, "active_learning.sampling_strategies[1].name", None),
        (12, "active_learning.sampling_strategies[1].type", None),
        (7, "active_learning.batching_strategy", None),
        (13, "seed", None),
    ]
    assert expected == [(fault.line, fault.path, fault.plugin) for fault in faults]
    assert str(path) == caught.value.origin


def test_an_unknown_type_lists_the_plugins_that_could_have_brought_it(good):
    host = PluginHost.without_discovery({})

    with pytest.raises(ConfigurationError) as caught:
        load_configuration(read_document(good), host, environ={})

    messages = [fault.message for fault in caught.value.faults]
    assert messages[0] == "there is no source type 'folder'; installed source types: none"
    assert len(messages) == 6


def test_a_kind_without_any_type_says_so(good):
    host = PluginHost.without_discovery({})
    good.update(sinks=[{}])

    with pytest.raises(ConfigurationError, match=r"sinks\[0\].type: is missing: no plugin provid"):
        load_configuration(read_document(good), host, environ={})


def test_plugins_that_are_switched_off_are_named_too(good, monkeypatch):
    from importlib.metadata import EntryPoint

    host = PluginHost.discover(
        entry_points=[EntryPoint("away", "nowhere", "al_framework")], disable=["away"], environ={}
    )

    with pytest.raises(ConfigurationError, match=r"plugin 'away' is switched off by plugins.disab"):
        load_configuration(read_document(good), host, environ={})


def test_missing_time_zone_data_are_named(good, faults_of, monkeypatch):
    monkeypatch.setattr("zoneinfo.available_timezones", set)
    good["batch_time_zone"] = "Nowhere"
    message = (
        "batch_time_zone: there is no time zone 'Nowhere'; no time zones are installed: run pip "
        "install tzdata"
    )

    assert [message] == faults_of(good)
