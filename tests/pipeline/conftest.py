"""An engine on a clock that stands still, with strategies, adapters and a spool made to order."""

import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL.ImageFile
import pytest

from al_framework.api import (
    Context,
    Crop,
    Datapoint,
    Detections,
    Frame,
    FrameKey,
    Image,
    Options,
    PredictionAdapter,
    PredictionError,
    Strategy,
    Ticket,
    Verdict,
)
from al_framework.pipeline.adaptation import Adaptation
from al_framework.pipeline.dry_run import DryRun
from al_framework.pipeline.encoding import EncodingRules
from al_framework.pipeline.engine import Engine, Entry
from al_framework.pipeline.handoff import Handoff
from al_framework.pipeline.identity import Names
from al_framework.pipeline.limits.base import Ledger, LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.offers import Offer, Pending
from al_framework.pipeline.plan import CollectionRules, Plan
from al_framework.pipeline.recent import RecentImages
from al_framework.pipeline.sampling import Sampler, StrategySlot
from al_framework.pipeline.spool import Acceptance, Candidate
from al_framework.pipeline.tally import Tally
from al_framework.testing import FakeClock, make_context, sample_detections, sample_frame

Answer = Callable[[Frame, Any], Any]
CONTEXT = make_context(Path("unused"))
YES = Verdict(match=True, utility=0.5, reason="yes")
NO = Verdict(match=False)
WAIT_S = 30.0  # a hang limit, never reached


def strategy_type(answer: Answer, **traits: Any) -> type[Strategy]:
    """Return a strategy class that answers what a function says."""

    def evaluate(self: Strategy, frame: Frame, prediction: Any) -> Any:
        return answer(frame, prediction)

    return type("Scripted", (Strategy,), {"type_name": "scripted", "evaluate": evaluate, **traits})


class Dicts(PredictionAdapter):
    """Reads dictionaries: one detection, or what is wrong with them."""

    type_name = "dicts"

    def accepts(self, document):
        return isinstance(document, dict)

    def adapt(self, document, *, frame, prediction_type):
        if "bug" in document:
            raise RuntimeError(document["bug"])
        if "fault" in document:
            raise PredictionError(document["fault"])
        return document.get("answer", sample_detections(1))


class Crops(Dicts):
    def split(self, document, *, frame):
        for name, piece in document.items():
            if name == "itself":
                yield frame, piece
                continue
            crop = Crop(
                frame_id=frame.frame_id, detection_id=name, left=0, top=0, width=9, height=9
            )
            yield (
                Frame(frame_id=f"{frame.frame_id}#{name}", image=frame.image, parent=crop),
                piece,
            )


class Recorder:
    """A spool in memory; what is in `errors` is raised first, one a call, None for no error."""

    def __init__(self, ledger: Ledger) -> None:
        self.groups: list[list[Entry]] = []
        self.datapoints: list[Datapoint] = []
        self.errors: list[Exception | None] = []
        self._limits = DryRun(ledger)

    def accept(self, entries: Sequence[Entry]) -> list[Acceptance]:
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.groups.append(list(entries))
        results = self._limits.accept(entries)
        candidates = [entry for entry in entries if isinstance(entry, Candidate)]
        for candidate, result in zip(candidates, results, strict=True):
            if result.strategy is not None:
                self.datapoints.append(candidate.compose(result.strategy))
        return results


class World:
    """Everything around an engine."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.reports: list[tuple[str, BaseException | None]] = []
        self.tally = Tally(())
        self.spool = Recorder(MemoryLedger({}, scope="test"))

    def report(self, text: str, exc: BaseException | None) -> None:
        self.reports.append((text, exc))

    def slot(self, name: str, answer: Answer | Verdict, **traits: Any) -> StrategySlot:
        """Return a strategy that gives an answer; `slot.instances` shows what was built."""
        said = (lambda *_: answer) if isinstance(answer, Verdict) else answer
        kind = strategy_type(said, **traits)
        return StrategySlot(
            name,
            plugin="plug",
            strategy=kind,
            tasks=kind.tasks,
            build=lambda _: kind(Options(), CONTEXT),
            tally=Tally([name]).strategy(name),
        )

    def sampler(self, *slots: StrategySlot, seed: int = 7) -> Sampler:
        return Sampler(slots, seed=seed, report=self.report)

    def engine(
        self,
        strategies: Mapping[str, Answer | Verdict | tuple[Answer | Verdict, dict[str, Any]]],
        *,
        rules: Mapping[str, Sequence[LimitRule]] | None = None,
        adapters: Sequence[tuple[str, PredictionAdapter]] = (),
        ledger: Ledger | None = None,
        persist_predictions: bool = True,
        recent: RecentImages | None = None,
    ) -> Engine:
        """Return an engine; a strategy is an answer, or an answer and traits of its class."""
        self.tally = Tally(strategies)
        slots = []
        for name, given in strategies.items():
            answer, traits = given if isinstance(given, tuple) else (given, {})
            slot = self.slot(name, answer, **traits)
            slot.tally = self.tally.strategy(name)
            slots.append(slot)
        ledger = ledger if ledger is not None else MemoryLedger(rules or {}, scope="test")
        self.spool = Recorder(ledger)
        return Engine(
            plan=Plan(
                sampler=self.sampler(*slots),
                rules=CollectionRules(
                    encoding=EncodingRules(max_image_size=None),
                    batch_name=lambda at: f"batch_{at:.0f}",
                    tags=lambda strategy, model_id: ("tag", strategy, str(model_id)),
                    persist_predictions=persist_predictions,
                ),
                configuration_hash="c0ffee",
            ),
            adaptation=Adaptation(adapters, fixed=False),
            ledger=ledger,
            acceptor=self.spool,
            tally=self.tally,
            clock=self.clock,
            names=Names(self.clock, random.Random(1)),
            report=self.report,
            recent=recent,
        )

    def offer_one(
        self, engine: Engine, frame: Frame, document: object = None, **known: Any
    ) -> Offer:
        """Offer a frame that comes whole, with one detection if nothing is said of it."""
        said = sample_detections(1) if document is None else document
        [offer] = engine.offer(frame, said, **known)
        return offer

    def accept_one(
        self, engine: Engine, frame: Frame, document: object = None, **known: Any
    ) -> Datapoint:
        """Take a frame all the way and return its datapoint."""
        pending = self.offer_one(engine, frame, document, **known).pending
        assert pending is not None
        candidate = engine.prepare(pending)
        assert isinstance(candidate, Candidate)
        engine.accept([candidate])
        return self.spool.datapoints[-1]

    def unbalanced(self) -> int:
        """Return by how much the counts do not add up."""
        counts = self.tally.counts({})
        ends = counts.not_selected + counts.limited + counts.accepted + counts.queued
        return counts.offered - ends - sum(counts.dropped.values())


def detections_with(**changes: Any) -> Detections:
    """Return one detection with other fields."""
    values = {name: getattr(sample_detections(1), name) for name in Detections.__slots__}
    return Detections(**(values | changes))


def key_of(frame: Frame, *, source: str = "cam") -> FrameKey:
    return FrameKey(source=source, frame_id=frame.frame_id, size=10, mtime_ns=1)


@pytest.fixture(scope="session")
def world_type() -> type[World]:
    """For tests that build a world per example; others take `world`."""
    return World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def yes() -> Verdict:
    return YES


@pytest.fixture(scope="session")
def no() -> Verdict:
    return NO


@pytest.fixture(scope="session")
def context() -> Context:
    return CONTEXT


@pytest.fixture(scope="session")
def dicts(context: Context) -> list[tuple[str, PredictionAdapter]]:
    """Return an adapter of dictionaries, as an engine takes it."""
    return [("dicts", Dicts(Options(), context))]


@pytest.fixture(scope="session")
def crops(context: Context) -> list[tuple[str, PredictionAdapter]]:
    """Return an adapter of dictionaries of crops, as an engine takes it."""
    return [("crops", Crops(Options(), context))]


@pytest.fixture(scope="session")
def frame() -> Frame:
    return sample_frame()


@pytest.fixture(scope="session")
def nan_detections() -> Detections:
    return detections_with(confidence=np.array([np.nan]))


@pytest.fixture(scope="session")
def make_detections() -> Callable[..., Detections]:
    return detections_with


@pytest.fixture(scope="session")
def make_frame_key() -> Callable[..., FrameKey]:
    return key_of


@pytest.fixture
def handoffs() -> Iterator[Callable[..., Handoff]]:
    """Return a function that makes handoffs; what a test leaves open is closed."""
    made: list[Handoff] = []

    def make(engine: Engine, **options: Any) -> Handoff:
        made.append(Handoff(engine, **options))
        return made[-1]

    yield make
    for handoff in made:
        handoff.close(WAIT_S)


@pytest.fixture(scope="session")
def pending_of() -> Callable[[Engine, Frame], Pending]:
    """Return a function that offers a frame to an engine that takes it."""

    def offer(engine: Engine, frame: Frame) -> Pending:
        [one] = engine.offer(frame, sample_detections(1))
        assert one.pending is not None
        return one.pending

    return offer


@pytest.fixture(scope="session")
def put(pending_of: Callable[[Engine, Frame], Pending]) -> Callable[..., Ticket]:
    """Return a function that offers a frame to an engine and hands it over."""

    def hand_over(
        handoff: Handoff,
        engine: Engine,
        name: str,
        *,
        wait: float | None = None,
        image: bytes | None = None,
    ) -> Ticket:
        frame = sample_frame(name) if image is None else Frame(frame_id=name, image=Image(image))
        return handoff.put(pending_of(engine, frame), wait_accepted_s=wait)

    return hand_over


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], object]], None]:
    """Return a function that waits until something is so."""

    def wait(happened: Callable[[], object]) -> None:
        end = time.monotonic() + WAIT_S
        while not happened():
            assert time.monotonic() < end
            time.sleep(0.001)

    return wait


@contextmanager
def _switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@pytest.fixture(scope="session")
def switch_often() -> Callable[[], AbstractContextManager[None]]:
    """Let threads take turns after every few instructions.

    To be entered when all of them have begun: what traces threads, such as coverage, cannot bear
    it while two begin at once.
    """
    return _switching_often


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every decode that Pillow does."""
    seen: list[object] = []
    load = PIL.ImageFile.ImageFile.load

    def counted(self: PIL.ImageFile.ImageFile) -> Any:
        seen.append(self)
        return load(self)

    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", counted)
    return seen


@pytest.fixture(params=["core", "fast"])
def codec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra ``fast``, and with it."""
    if request.param == "core":
        monkeypatch.setattr("al_framework.pipeline.encoding.load_opencv", lambda: None)
    else:
        pytest.importorskip("cv2")
