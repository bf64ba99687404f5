import io
import json
from pathlib import Path
from typing import Literal

import pytest
from click.testing import CliRunner
from pydantic import Field, SecretStr
from ruamel.yaml import YAML

from al_framework.api import (
    COMPONENT_KINDS,
    Options,
    Predictor,
    Receipt,
    Sink,
    Source,
    Strategy,
    Verdict,
    hookimpl,
)
from al_framework.cli import plugins as plugins_module
from al_framework.cli._component_page import example_entry, option_rows, type_words
from al_framework.cli.plugins import plugins
from al_framework.host import PluginHost, PluginRecord, Registration, Registry


class BoxOptions(Options):
    path: str = Field(description="Where it goes.")
    key: SecretStr = Field(description="What opens the box.")
    size: int = Field(ge=1, description="How large.", examples=[64])
    level: float | None = Field(default=None, gt=0, lt=1, description="How full, at the most.")
    mode: Literal["fast", "safe"] = Field(description="How it is packed.")
    seed: list[int] = Field(default_factory=list, description="Where it starts.")


class BoxSink(Sink[BoxOptions]):
    """Put things into a box.

    More about boxes.
    """

    type_name = "box"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


class BoxSource(Source):
    type_name = "box"

    def frames(self, skip):
        return iter(())


BoxSource.__doc__ = None


class Plain(Strategy):
    """Take every frame."""

    type_name = "plain"

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


class Net(Predictor):
    type_name = "net"

    def predict(self, frame):
        return None


class Boxes:
    @hookimpl
    def al_register_sinks(self):
        return [BoxSink]

    @hookimpl
    def al_register_sources(self):
        return [BoxSource]

    @hookimpl
    def al_run_finished(self):
        """Hear it."""


class Others:
    @hookimpl
    def al_register_strategies(self):
        return [Plain]

    @hookimpl
    def al_register_predictors(self):
        return [Net]


class AlsoBoxes:
    @hookimpl
    def al_register_sinks(self):
        return [BoxSink]


class Broken:
    def al_register_sinks(self):
        return [BoxSink]


def run(*arguments, strict=False, columns="80", **named):
    host = PluginHost.without_discovery(named)
    settings = {"host": host, "strict_plugins": strict}
    return CliRunner().invoke(plugins, arguments, obj=settings, env={"COLUMNS": columns})


def line_of(text):
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if line.startswith(text))


def words(text):
    return " ".join(text.split())


def test_plugins_are_listed_with_their_components_by_kind():
    result = run(boxes=Boxes(), others=Others())

    assert result.exit_code == 0
    assert words(result.output.splitlines()[0]) == "plugin distribution state components"
    assert "boxes loaded sink: box source: box hears al_run_finished in Boxes" in words(
        result.output
    )
    assert "others loaded predictor: net strategy: plain in Others" in words(result.output)
    assert "problems" not in result.output


def test_distribution_and_version_are_shown():
    record = PluginRecord(
        name="one", distribution="al-one", version="2.1", module="m", state="loaded"
    )
    host = PluginHost(records=[record], registry=Registry(), problems=[], listeners=[])
    result = CliRunner().invoke(plugins, [], obj={"host": host})

    assert "one al-one 2.1 loaded" in words(result.output)


@pytest.mark.parametrize(
    ("named", "strict", "status"),
    [
        ({"boxes": Boxes()}, True, 0),
        ({"boxes": Boxes(), "broken": Broken()}, False, 1),
        ({"boxes": Boxes(), "clash": AlsoBoxes()}, False, 0),
        ({"boxes": Boxes(), "clash": AlsoBoxes()}, True, 1),
    ],
)
def test_exit_status_tells_whether_a_plugin_failed(named, strict, status):
    assert run(strict=strict, **named).exit_code == status


def test_problems_stand_in_full_below_the_table():
    result = run(boxes=Boxes(), broken=Broken(), clash=AlsoBoxes())
    lines = result.output.splitlines()
    below = lines[lines.index("problems") + 1 :]

    assert below == [
        "  plugin 'broken': al_register_sinks is no hook: is @hookimpl missing?",
        (
            "  plugin 'clash': sink type 'box' is already provided by plugin 'boxes'; the second"
            " one is left out: switch one of the two off with AL_DISABLE_PLUGINS=boxes or"
            " AL_DISABLE_PLUGINS=clash"
        ),
    ]


def test_a_terminal_gets_lines_that_fit(monkeypatch):
    console = plugins_module.Console(
        file=io.StringIO(), force_terminal=True, width=80, color_system=None, highlight=False
    )
    monkeypatch.setattr(plugins_module, "Console", lambda **kwargs: console)
    run(boxes=Boxes(), clash=AlsoBoxes())
    lines = console.file.getvalue().splitlines()

    assert max(map(len, lines)) <= 80
    assert "  plugin 'clash': sink type 'box' is already provided by plugin 'boxes'; the" in [
        line.rstrip() for line in lines
    ]


def test_a_pipe_gets_every_name_whole():
    class Wordy(Boxes):
        pass

    name = "a_name_for_which_eighty_characters_are_too_few"
    Wordy.__qualname__ = Wordy.__name__ = name * 2
    result = run(**{name: Wordy()})
    rows = result.output.splitlines()[2:]

    assert rows[0].startswith(name)
    assert rows[-1].strip() == name * 2


def test_no_plugins_is_said():
    assert run().output == "no plugins are installed\n"


def test_a_disabled_plugin_says_who_switched_it_off(monkeypatch):
    monkeypatch.setenv("AL_DISABLE_PLUGINS", "video")
    result = CliRunner().invoke(plugins, [], env={"COLUMNS": "120"})

    assert "disabled by AL_DISABLE_PLUGINS" in words(result.output)


def test_the_list_can_be_had_as_json():
    result = run("--json", boxes=Boxes(), broken=Broken())
    listed = json.loads(result.output)
    problem = "plugin 'broken': al_register_sinks is no hook: is @hookimpl missing?"

    assert result.exit_code == 1
    assert listed["problems"] == [problem]
    assert listed["plugins"] == [
        {
            "name": "boxes",
            "distribution": None,
            "version": None,
            "module": "Boxes",
            "file": None,
            "requires": None,
            "state": "loaded",
            "switched_off_by": None,
            "components": {"sink": ["box"], "source": ["box"]},
            "classes": [
                {"kind": kind, "type": "box", "class": f"{__name__}:{name}", "file": __file__}
                for kind, name in (("sink", "BoxSink"), ("source", "BoxSource"))
            ],
            "notifications": ["al_run_finished"],
            "problem": None,
        },
        {
            "name": "broken",
            "distribution": None,
            "version": None,
            "module": "Broken",
            "file": None,
            "requires": None,
            "state": "failed",
            "switched_off_by": None,
            "components": {},
            "classes": [],
            "notifications": [],
            "problem": problem,
        },
    ]


def test_show_tells_what_a_type_is_and_what_to_write():
    result = run("show", "box", boxes=Boxes())
    sink, source = result.output.split("\nsource box\n")

    assert result.exit_code == 0
    assert sink == (
        "sink box\n"
        "from plugin 'boxes'\n"
        f"defined in {__name__}:BoxSink ({__file__}:{line_of('class BoxSink(')})\n"
        "\n"
        "Put things into a box.\n"
        "\n"
        "path  string; required\n"
        "  Where it goes.\n"
        "key  secret; required\n"
        "  What opens the box.\n"
        "size  integer >= 1; required\n"
        "  How large.\n"
        "level  number > 0, < 1; default null\n"
        "  How full, at the most.\n"
        'mode  "fast" | "safe"; required\n'
        "  How it is packed.\n"
        "seed  list of integer; default (computed)\n"
        "  Where it starts.\n"
        "\n"
        "sinks:\n"
        "  - type: box\n"
        '    path: "<string>"\n'
        '    key: "${MY_SECRET}"\n'
        "    size: 64\n"
        '    mode: "fast"\n'
        "    # level: null\n"
        "    # seed: [1]\n"
    )
    assert source == (
        "from plugin 'boxes'\n"
        f"defined in {__name__}:BoxSource ({__file__}:{line_of('class BoxSource(')})\n"
        "\n"
        "it takes no options\n"
        "\n"
        "sources:\n"
        "  - type: box\n"
    )  # fmt: skip


def test_show_places_a_strategy_where_it_belongs():
    assert run("show", "plain", others=Others()).output.endswith(
        "active_learning:\n"
        "  enabled: true\n"
        "  sampling_strategies:\n"
        "    - name: my_plain\n"
        "      type: plain\n"
    )


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (
            {"boxes": Boxes(), "broken": Broken()},
            (
                "Error: no plugin provides the type 'bxo' (did you mean 'box'?)\n"
                "there are: box\n"
                "plugin 'broken': al_register_sinks is no hook: is @hookimpl missing?\n"
            ),
        ),
        ({}, "Error: no plugin provides the type 'bxo'\nthere are: none\n"),
    ],
)
def test_show_of_an_unknown_type_names_the_nearest_and_the_failed_plugins(named, message):
    result = run("show", "bxo", **named)

    assert (result.exit_code, result.output) == (1, message)


def test_show_of_a_plugin_names_the_types_that_it_provides():
    message = (
        "Error: no plugin provides the type 'others': it is the name of a plugin, which provides"
        " net, plain\nthere are: box, net, plain\n"
    )

    assert run("show", "others", boxes=Boxes(), others=Others()).output == message


@pytest.mark.parametrize("kind", COMPONENT_KINDS)
def test_the_example_of_every_kind_is_yaml(kind):
    registration = Registration(kind=kind, type_name="box", component=BoxSink, plugin="p")
    text = example_entry(registration, option_rows(registration))
    (entry,) = YAML(typ="safe").load(text).values()
    if kind == "strategy":
        (entry,) = entry["sampling_strategies"]
    elif isinstance(entry, list):
        (entry,) = entry

    assert entry["type"] == "box"
    assert {"path", "key", "size", "mode"} <= set(entry)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({"$ref": "#/$defs/Color"}, '"red" | 3'),
        ({"$ref": "#/$defs/Unknown"}, "any"),
        ({"const": "red"}, '"red"'),
        ({"oneOf": [{"type": "string"}, {"type": "string", "format": "uri"}]}, "string | uri"),
        ({"type": "array"}, "list"),
        ({"type": "array", "prefixItems": [{"type": "integer"}] * 2}, "[integer, integer]"),
        ({"type": "object"}, "mapping"),
        ({"type": "string", "format": "path"}, "path"),
    ],
)
def test_types_are_put_into_words(field, expected):
    assert type_words(field, {"Color": {"enum": ["red", 3]}}) == expected


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({}, "It looks at predictions of any type."),
        ({"tasks": frozenset({"b", "a"})}, "It looks at predictions of type a, b."),
        (
            {"needs_pixels": True, "stateful": True},
            "It looks at predictions of any type, and at pixels; it keeps a state for each source.",
        ),
    ],
)
def test_show_says_what_a_strategy_looks_at(changes, seen):
    component = type("Plain", (Plain,), {"__doc__": "Take every frame.", "tasks": None, **changes})

    class Provider:
        @hookimpl
        def al_register_strategies(self):
            return [component]

    assert f"\nTake every frame.\n{seen}\n" in run("show", "plain", p=Provider()).output


def test_a_single_choice_is_the_example():
    class OneOptions(Options):
        version: Literal[2] = Field(description="The only one.")

    component = type("One", (BoxSink,), {"Options": OneOptions, "type_name": "one"})
    registration = Registration(kind="sink", type_name="one", component=component, plugin="p")

    assert option_rows(registration)[0].example == "2"
