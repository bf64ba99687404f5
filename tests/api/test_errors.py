import inspect

from al_framework.api import errors
from al_framework.api.errors import (
    AlFrameworkError,
    ComponentError,
    ConfigurationError,
    Fault,
    FrameError,
    ImageError,
    MissingExtraError,
    PluginError,
    PluginLoadError,
    TransientSinkError,
)


def classes():
    return [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, AlFrameworkError)
    ]


def test_every_error_stands_in_the_tree_of_the_module():
    tree = errors.__doc__ or ""

    assert [cls.__name__ for cls in classes() if cls.__name__ not in tree] == []


def test_fault_shows_what_is_known():
    assert str(Fault(path="sinks[1].path", message="it is missing", line=4)) == (
        "line 4: sinks[1].path: it is missing"
    )
    assert str(Fault(path="", message="the file is empty")) == "the file is empty"


def test_configuration_error_lists_all_faults():
    faults = [Fault(path="a", message="x"), Fault(path="b", message="y", line=2)]

    assert str(ConfigurationError(faults, origin="al.yaml")) == (
        "al.yaml: 2 faults in the configuration\n  a: x\n  line 2: b: y"
    )
    assert str(ConfigurationError(faults[:1])) == (
        "<mapping>: 1 fault in the configuration\n  a: x"
    )
    assert ConfigurationError(faults).faults == tuple(faults)


def test_missing_extra_says_how_to_install_it():
    error = MissingExtraError(package="av", extra="video")

    assert str(error) == (
        "the package 'av' is not installed: run pip install 'al-framework[video]'"
    )
    assert (error.package, error.extra, error.distribution) == ("av", "video", "al-framework")


def test_errors_keep_what_a_caller_acts_on():
    assert TransientSinkError("busy", retry_after_s=3.0).retry_after_s == 3.0
    assert TransientSinkError("busy").retry_after_s is None
    assert TransientSinkError("no answer").may_be_stored
    assert not TransientSinkError("busy", may_be_stored=False).may_be_stored
    assert PluginLoadError("no", plugin="p").plugin == "p"
    component = ComponentError("no", plugin="p", component="c")
    assert (component.plugin, component.component) == ("p", "c")
    assert ImageError("bad", frame_id="f").frame_id == "f"
    assert FrameError("bad").frame_id is None


def test_whoever_blames_a_plugin_catches_one_error():
    blamed = [cls for cls in classes() if issubclass(cls, PluginError)]

    assert blamed == [PluginError, PluginLoadError, ComponentError]
