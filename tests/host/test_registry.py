from al_framework.api import Sink, Source
from al_framework.host import Registration, Registry
from al_framework.host.registry import plugin_label


def entry(kind, type_name, plugin, **kwargs):
    component = {"sink": Sink, "source": Source}[kind]
    return Registration(
        kind=kind, type_name=type_name, component=component, plugin=plugin, **kwargs
    )


def test_first_registration_keeps_its_type_and_both_are_named():
    registry = Registry()
    first = entry("sink", "same", "one", distribution="y", version="2.0")
    second = entry("sink", "same", "two", distribution="x", version="1.0")

    assert registry.add(first) is None
    conflict = registry.add(second)

    assert registry.get("sink", "same") is first
    assert registry.conflicts == (conflict,)
    assert (first, second) == (conflict.kept, conflict.left_out)
    assert str(conflict) == (
        "plugin 'two' (x 1.0): sink type 'same' is already provided by plugin 'one' (y 2.0);"
        " the second one is left out: switch one of the two off with AL_DISABLE_PLUGINS=one"
        " or AL_DISABLE_PLUGINS=two"
    )


def test_one_type_name_may_stand_for_a_source_and_a_sink():
    registry = Registry()

    assert registry.add(entry("sink", "directory", "one")) is None
    assert registry.add(entry("source", "directory", "one")) is None
    assert registry.conflicts == ()


def test_types_and_registrations_are_sorted():
    registry = Registry()
    for kind, type_name in [("source", "b"), ("sink", "z"), ("sink", "a")]:
        registry.add(entry(kind, type_name, "one"))

    assert registry.types("sink") == ("a", "z")
    assert registry.types("strategy") == ()
    assert [(r.kind, r.type_name) for r in registry.registrations()] == [
        ("sink", "a"),
        ("sink", "z"),
        ("source", "b"),
    ]
    assert [r.type_name for r in registry.registrations("source")] == ["b"]
    assert registry.get("sink", "b") is None


def test_a_plugin_is_named_with_what_is_known_of_it():
    assert plugin_label("one", None, None) == "plugin 'one'"
    assert plugin_label("one", "al-one", None) == "plugin 'one' (al-one)"
    assert plugin_label("one", "al-one", "1.0") == "plugin 'one' (al-one 1.0)"
