"""Every way we know in which a plugin is broken before it does any work, all installed at once.

The plugins are the files of `broken/loading`. Each is named in one sentence (who, where, what was
seen, what to do), none of them takes another one along, and a collection beside them goes on. Those
that load and break at work are in `test_broken_components.py`.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from al_framework import Collector, __version__
from al_framework.assembly import assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.testing import sample_jpeg

DIRECTORY = Path(__file__).parent / "broken" / "loading"

SOUND = """
from al_framework.api import Receipt, Sink, Strategy, Verdict, hookimpl

delivered = []

class SoundSink(Sink):
    type_name = "sound"

    def deliver(self, datapoint, checkpoint):
        delivered.append(datapoint.frame_id)
        return Receipt(status="created")

class SoundStrategy(Strategy):
    type_name = "sound"

    def evaluate(self, frame, prediction):
        return Verdict(match=True)

@hookimpl
def al_register_sinks():
    return [SoundSink]

@hookimpl
def al_register_strategies():
    return [SoundStrategy]
"""
CONFIGURATION = {
    "name": "line",
    "active_learning": {
        "enabled": True,
        "persist_predictions": True,
        "sampling_strategies": [{"name": "all", "type": "sound"}],
        "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
    },
    "sinks": [{"type": "sound"}],
}


@dataclass(frozen=True)
class Broken:
    """What is said of a plugin, and what its metadata say where that matters."""

    fault: str
    requires: tuple[str, ...] = ()
    entry: str | None = None  # the entry point's name, where it is not the file's
    value: str | None = None  # what the entry point names, where it is not the module
    is_used: bool = False  # but for what is broken


REPAIR = "repair or update it, or switch it off with AL_DISABLE_PLUGINS="
SINKS = "al_register_sinks"
STRATEGIES = "al_register_strategies: class Bad"


def fails_to_import(name, seen, *, value=None, remedy=None):
    remedy = remedy or f"{REPAIR}{name}"
    return Broken(
        f"the import of {value or f'site_{name}'!r} failed: {seen}: {remedy}", value=value
    )


BROKEN = {
    # the import
    "raises_at_import": fails_to_import(
        "raises_at_import", "RuntimeError: no camera on port 3 (site_raises_at_import.py, line 3)"
    ),
    "raises_without_a_word": fails_to_import(
        "raises_without_a_word", "RuntimeError (site_raises_without_a_word.py, line 3)"
    ),
    "exits_at_import": fails_to_import(
        "exits_at_import", "SystemExit: 4 (site_exits_at_import.py, line 5)"
    ),
    "is_cancelled_at_import": fails_to_import(
        "is_cancelled_at_import",
        "CancelledError: the loop is closed (site_is_cancelled_at_import.py, line 5)",
    ),
    "cannot_say_why_it_fails": fails_to_import(
        "cannot_say_why_it_fails",
        "MuteError: its text cannot be told (ZeroDivisionError) (site_cannot_say_why_it_fails.py,"
        " line 9)",
    ),
    "needs_a_missing_module": fails_to_import(
        "needs_a_missing_module",
        "ModuleNotFoundError: No module named 'no_such_module_here'"
        " (site_needs_a_missing_module.py, line 3)",
    ),
    "is_no_python": fails_to_import(
        "is_no_python", "SyntaxError: invalid syntax (site_is_no_python.py, line 1)"
    ),
    "announces_what_is_gone": fails_to_import(
        "announces_what_is_gone",
        "AttributeError: module 'site_announces_what_is_gone' has no attribute 'gone'",
        value="site_announces_what_is_gone:gone",
    ),
    # the versions
    "needs_a_newer_api": Broken(
        f"it needs al-framework>=99, but al-framework {__version__} is running: install versions of"
        " al-needs_a_newer_api and al-framework that fit",
        requires=("al-framework>=99",),
    ),
    "needs_an_older_api": Broken(
        f"it needs AL_Framework<0.0.9, but al-framework {__version__} is running: install versions"
        " of al-needs_an_older_api and al-framework that fit",
        requires=("numpy", "AL_Framework<0.0.9 ; python_version > '3'"),
    ),
    "has_unreadable_metadata": Broken(
        "its requirement 'al-framework>=a.b' cannot be read: correct its metadata",
        requires=("al-framework>=a.b",),
    ),
    # what the entry point names
    "announces_a_class": Broken(
        "'site_announces_a_class:Good' is the class Good: name a module or an object with hooks",
        value="site_announces_a_class:Good",
    ),
    "announces_nothing": Broken(
        "'site_announces_nothing:nothing' is None: name a module or an object with hooks",
        value="site_announces_nothing:nothing",
    ),
    "takes_a_taken_name": Broken(
        "its name is taken by plugin 'sound' (al-sound 1.0): uninstall one of the two distributions"
        " (AL_DISABLE_PLUGINS=sound switches off both)",
        entry="sound",
    ),
    "takes_a_taken_type": Broken(
        "sink type 'sound' is already provided by plugin 'sound' (al-sound 1.0); the second one is"
        " left out: switch one of the two off with AL_DISABLE_PLUGINS=sound or"
        " AL_DISABLE_PLUGINS=takes_a_taken_type",
        is_used=True,
    ),
    # the hooks
    "misspells_its_hook": Broken(
        "there is no hook 'al_register_sink': did you mean 'al_register_sinks'?"
    ),
    "invents_a_hook": Broken(
        "there is no hook 'xyz': choose among al_register_sources, al_register_predictors,"
        " al_register_prediction_adapters, al_register_strategies, al_register_sinks,"
        " al_register_configuration_providers, al_run_started, al_datapoint_delivered,"
        " al_run_finished"
    ),
    "has_no_hooks": Broken("it registers no component: is @hookimpl missing?"),
    "forgets_the_marker": Broken(f"{SINKS} is no hook: is @hookimpl missing?"),
    "forgets_one_marker": Broken("al_register_sources is no hook: is @hookimpl missing?"),
    "forgets_the_marker_and_misspells": Broken(
        "it registers no component: is @hookimpl missing on al_register_sink?"
    ),
    "uses_another_marker": Broken(
        f"{SINKS} carries the mark of 'pytest': use the one of al_framework,"
        " from al_framework.api import hookimpl"
    ),
    "takes_an_argument": Broken(
        "a hook does not fit its specification: hookimpl definition: al_register_sinks("
        "registry); Argument(s) {'registry'} are declared in the hookimpl but can not be found"
        " in the hookspec: take what the hook passes, which is nothing where it registers"
    ),
    "takes_a_keyword": Broken(
        f"{SINKS}: it failed with TypeError: al_register_sinks() missing 1 required keyword-only"
        f" argument: 'registry': {REPAIR}takes_a_keyword"
    ),
    "raises_in_its_hook": Broken(
        f"{SINKS}: it failed with RuntimeError: no licence (site_raises_in_its_hook.py, line 15):"
        f" {REPAIR}raises_in_its_hook"
    ),
    "exits_in_its_hook": Broken(
        f"{SINKS}: it failed with SystemExit (site_exits_in_its_hook.py, line 15):"
        f" {REPAIR}exits_in_its_hook"
    ),
    "fails_half_way": Broken(
        f"{SINKS}: it failed with OSError: no licence (site_fails_half_way.py, line 16):"
        f" {REPAIR}fails_half_way"
    ),
    "has_an_async_hook": Broken(f"{SINKS} is async: write a plain function"),
    "has_an_async_generator": Broken("al_run_finished is async: write a plain function"),
    "has_a_generator_as_notification": Broken(
        "al_run_finished is a generator, which would never run: write a plain function"
    ),
    "wraps_a_hook": Broken(f"{SINKS} is a hook wrapper: write a plain function"),
    "wraps_a_hook_the_old_way": Broken(f"{SINKS} is a hook wrapper: write a plain function"),
    # what the hooks return
    "returns_an_instance": Broken(
        f"{SINKS}: it returns an instance of Good: return the class, [Good]"
    ),
    "returns_a_class": Broken(f"{SINKS}: it returns the class Good, not a list: return [Good]"),
    "returns_nothing": Broken(f"{SINKS}: it returns None: return a list of classes"),
    "returns_text": Broken(f"{SINKS}: it returns 'Good': return a list of classes"),
    "returns_names": Broken(f"{SINKS}: it returns 'Good': return classes derived from api.Sink"),
    "returns_another_kind": Broken(
        "al_register_sources: class Good is no source but a sink: return it from the hook of its"
        " kind"
    ),
    "provides_a_type_twice": Broken(
        "it provides sink type 'good_provides_a_type_twice' 2 times: rename all but one"
    ),
    # the classes
    "leaves_a_method_out": Broken(
        f"{SINKS}: class Lazy leaves deliver undefined: write what the contract asks for"
    ),
    "has_no_type_name": Broken(
        f"{STRATEGIES} has no type_name: set it to what users are to write as type"
    ),
    "has_an_odd_type_name": Broken(
        f"{STRATEGIES} has the type_name 'Blurry-Frames': it must match ^[a-z][a-z0-9_]{{0,62}}$"
    ),
    "takes_a_dataclass": Broken(
        f"{STRATEGIES} takes <class 'site_takes_a_dataclass.BadOptions'> as its options: name a"
        " class derived from api.Options"
    ),
    "lets_unknown_options_pass": Broken(
        f"{STRATEGIES} has options that let unknown keys pass: remove extra from BadOptions"
    ),
    "takes_a_name_of_the_host": Broken(
        f"{STRATEGIES} has the option 'limits', which belongs to the host: call it something else"
    ),
    "does_not_describe_its_options": Broken(
        f"{STRATEGIES} has options without a description, first, second: add description= to each"
    ),
    "has_a_constructor_of_its_own": Broken(
        f"{STRATEGIES} has the constructor (self, path): it must take (options, context)"
    ),
    "has_another_signature": Broken(
        f"{STRATEGIES} has the method evaluate(frame), which is called as"
        " evaluate(frame, prediction): take these arguments"
    ),
    "is_async": Broken(
        f"{STRATEGIES} has an async method evaluate: write a plain one, since nobody awaits it"
    ),
    "names_its_task_as_text": Broken(
        f"{STRATEGIES} has tasks = 'object-detection': write None or a frozenset of prediction"
        " types"
    ),
}
# Its message holds the path of our own package.
USES_A_NEWER_API = "uses_a_newer_api"


@pytest.fixture(scope="module")
def host(shared_site):
    """The host of all these plugins and of one that is sound."""
    shared_site.install("sound", SOUND)
    for name, broken in {**BROKEN, USES_A_NEWER_API: Broken("")}.items():
        (file,) = DIRECTORY.glob(f"{name}.*")
        shared_site.install(
            broken.entry or name,
            file.read_text(encoding="utf-8"),
            module=f"site_{name}",
            distribution=f"al-{name}",
            requires=broken.requires,
            value=broken.value,
        )
    return shared_site.discover(log_problems=False)


def test_the_table_is_the_directory():
    assert sorted([*BROKEN, USES_A_NEWER_API]) == sorted(
        file.stem for file in DIRECTORY.glob("*.*")
    )


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_named_in_one_sentence_and_left_out(host, name):
    broken, distribution = BROKEN[name], f"al-{name}"
    said = [problem for problem in host.problems if f"({distribution} 1.0): " in problem]
    (record,) = [record for record in host.records if record.distribution == distribution]

    assert said == [f"plugin {broken.entry or name!r} ({distribution} 1.0): {broken.fault}"]
    assert record.problem == said[0]
    assert record.components == ()
    assert record.state == ("loaded" if broken.is_used else "failed")


def test_a_plugin_for_a_later_api_that_does_not_say_so_is_told_to(host):
    (said,) = [problem for problem in host.problems if f"'{USES_A_NEWER_API}'" in problem]

    assert said.startswith(
        f"plugin '{USES_A_NEWER_API}' (al-{USES_A_NEWER_API} 1.0): the import of"
        f" 'site_{USES_A_NEWER_API}' failed: ImportError: cannot import name 'Dream' from"
        " 'al_framework.api' ("
    )
    assert said.endswith(
        f": it was written for another version than al-framework {__version__}, which its"
        " requirements should say: install versions that fit"
    )


def test_a_collection_goes_on_beside_them_all(host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configuration = load_configuration(read_document(CONFIGURATION), host, environ={})
    with Collector(assemble(configuration, host, environ={})) as collector:
        for number in range(3):
            collector.submit(sample_jpeg(seed=number), frame_id=f"frame {number}")
        assert collector.flush(60.0)
        assert collector._assembly.delivery.drain(60.0)
    import site_sound

    assert sorted(site_sound.delivered) == [f"frame {number}" for number in range(3)]
    assert len(host.problems) == len(BROKEN) + 1
    assert collector.stats().sinks["sound"].delivered == 3
