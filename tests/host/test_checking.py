from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, Field

from al_framework.api import COMPONENT_KINDS, Options, Sink, Source, Strategy, Verdict
from al_framework.host.checking import component_faults

T = TypeVar("T")


class GoodOptions(Options):
    bound: float = Field(default=0.5, description="How much.")


class Good(Strategy[GoodOptions]):
    type_name = "good"

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


def strategy(**members):
    return type("Made", (Good,), members)


class Loose(Options):
    model_config = ConfigDict(extra="allow")

    bound: float = Field(default=0.5, description="How much.")


class Silent(Options):
    first: int = 1
    second: int = Field(default=1, description="  ")
    third: int = Field(default=1, description="Said.")


class Foreign(BaseModel):
    bound: float = 0.5


class Reserved(Options):
    tags: str = Field(default="", description="Said.")
    kind: str = Field(default="", description="Said.", alias="type")
    other: str = Field(default="", description="Said.", validation_alias="limits")


@dataclass
class DataclassOptions:
    bound: float = 0.5


class TakesDataclass(Strategy[DataclassOptions]):
    type_name = "takes_dataclass"

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


class InheritsDataclass(TakesDataclass):
    type_name = "inherits"


class Mended(TakesDataclass):
    type_name = "mended"
    Options = GoodOptions


class Mixed(Strategy[GoodOptions], Generic[T]):
    type_name = "mixed"

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


class MixedUser(Mixed[int]):
    type_name = "mixed_user"


class OtherGeneric(Good, dict[str, int]):
    type_name = "other_generic"


class Reader(Source):
    type_name = "reader"

    def frames(self, skip):
        return iter(())

    def __len__(self):
        return 0


class LazySink(Sink):
    type_name = "lazy"


def test_a_good_class_has_no_faults():
    assert component_faults("strategy", Good) == []
    assert component_faults("source", Reader) == []


@pytest.mark.parametrize("kind", COMPONENT_KINDS)
def test_the_abstract_class_itself_is_no_component(kind):
    name = COMPONENT_KINDS[kind].__name__
    faults = component_faults(kind, COMPONENT_KINDS[kind])

    assert len(faults) == 2
    assert faults[0].startswith(f"class {name} leaves ")
    assert faults[1].startswith(f"class {name} has no type_name")


@pytest.mark.parametrize(
    ("component", "fault"),
    [
        (3, "it returns 3: return classes derived from api.Strategy"),
        (int, "class int is no strategy: derive it from api.Strategy"),
        (
            Reader,
            "class Reader is no strategy but a source: return it from the hook of its kind",
        ),
        (
            strategy(type_name=None),
            ("class Made has no type_name: set it to what users are to write as type"),
        ),
        *[
            (
                strategy(type_name=name),
                f"class Made has the type_name {name!r}: it must match ^[a-z][a-z0-9_]{{0,62}}$",
            )
            for name in ("Good", "", "1st", "a-b", "good\n", "a" * 64, 3)
        ],
        (
            strategy(Options=Loose),
            "class Made has options that let unknown keys pass: remove extra from Loose",
        ),
        (
            strategy(Options=Silent),
            "class Made has options without a description, first, second: add description= to each",
        ),
        (
            strategy(Options=Foreign),
            f"class Made has the options {Foreign!r}: derive them from api.Options",
        ),
        (strategy(Options=3), "class Made has the options 3: derive them from api.Options"),
        (
            TakesDataclass,
            (
                f"class TakesDataclass takes {DataclassOptions!r} as its options:"
                " name a class derived from api.Options"
            ),
        ),
        (
            InheritsDataclass,
            (
                f"class InheritsDataclass takes {DataclassOptions!r} as its options:"
                " name a class derived from api.Options"
            ),
        ),
        (
            strategy(__init__=lambda self, path: None),
            "class Made has the constructor (self, path): it must take (options, context)",
        ),
        (
            strategy(evaluate=lambda self, frame: None),
            (
                "class Made has the method evaluate(frame), which is called as"
                " evaluate(frame, prediction): take these arguments"
            ),
        ),
        (
            strategy(evaluate=staticmethod(lambda frame: None)),
            (
                "class Made has the method evaluate(frame), which is called as"
                " evaluate(frame, prediction): take these arguments"
            ),
        ),
        (
            strategy(start=lambda self, device: None),
            (
                "class Made has the method start(device), which is called as start():"
                " take these arguments"
            ),
        ),
        (strategy(close=None), "class Made has close = None: write a method"),
        (
            strategy(tasks="object-detection"),
            (
                "class Made has tasks = 'object-detection': write None or a frozenset of"
                " prediction types"
            ),
        ),
        (
            strategy(tasks=frozenset({1})),
            "class Made has tasks = frozenset({1}): write None or a frozenset of prediction types",
        ),
    ],
)
def test_a_fault_is_told_in_one_sentence(component, fault):
    assert component_faults("strategy", component) == [fault]


def test_an_abstract_left_over_is_named():
    assert component_faults("sink", LazySink) == [
        "class LazySink leaves deliver undefined: write what the contract asks for"
    ]


def test_an_instance_is_told_from_its_class():
    good = Good(GoodOptions(), None)

    assert component_faults("strategy", good) == [
        "it returns an instance of Good: return the class, [Good]"
    ]


def test_reserved_names_are_refused_under_any_spelling():
    faults = component_faults("strategy", strategy(Options=Reserved))

    assert faults == [
        f"class Made has the option {name!r}, which belongs to the host: call it something else"
        for name in ("limits", "tags", "type")
    ]


def test_the_pace_of_a_sink_belongs_to_the_host_and_that_of_a_source_to_the_source():
    class Paced(Options):
        pace: float = Field(default=1.0, description="How fast.")

    class PacedSink(Sink[Paced]):
        type_name = "paced"

        def deliver(self, datapoint, checkpoint):
            raise NotImplementedError

    class PacedSource(Source[Paced]):
        type_name = "paced"

        def frames(self, skip):
            return iter(())

    assert component_faults("sink", PacedSink) == [
        "class PacedSink has the option 'pace', which belongs to the host: call it something else"
    ]
    assert component_faults("source", PacedSource) == []


def test_an_async_method_is_refused():
    async def evaluate(self, frame, prediction):
        return None

    async def frames(self, skip):
        yield None

    assert component_faults("strategy", strategy(evaluate=evaluate)) == [
        "class Made has an async method evaluate: write a plain one, since nobody awaits it"
    ]
    assert component_faults("source", type("Made", (Reader,), {"frames": frames})) == [
        "class Made has an async method frames: write a plain one, since nobody awaits it"
    ]


def test_a_keyword_that_the_core_passes_must_be_taken():
    from al_framework.api import PredictionAdapter

    class Made(PredictionAdapter):
        type_name = "made"

        def accepts(self, document):
            return True

        def adapt(self, document, *, frame):
            return None

    assert component_faults("prediction_adapter", Made) == [
        (
            "class Made has the method adapt(document, frame), which is called as"
            " adapt(document, frame=…, prediction_type=…): take these arguments"
        )
    ]


@pytest.mark.parametrize(
    "component",
    [
        Mended,
        Mixed,
        MixedUser,
        OtherGeneric,
        strategy(tasks=None),
        strategy(tasks=frozenset()),
        strategy(evaluate=lambda self, *args: None),
        strategy(evaluate=lambda self, frame, prediction, extra=1: None),
        strategy(evaluate=classmethod(lambda cls, frame, prediction: None)),
        strategy(type_name="a" * 63),
    ],
)
def test_what_works_is_allowed(component):
    assert component_faults("strategy", component) == []


def test_a_constructor_that_cannot_be_read_is_refused():
    class Made(Good):
        type_name = "made"
        __signature__: ClassVar[int] = 3

    (fault,) = component_faults("strategy", Made)

    assert fault.startswith("class Made has the constructor (self, options: ")
    assert fault.endswith(": it must take (options, context)")
