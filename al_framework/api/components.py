"""What plugins implement: one abstract class per kind of component.

Abstract classes, not Protocols: a method with a body can be added later without breaking anyone,
and a missing one is reported by name when the plugin registers. What all kinds have in common is in
`al_framework.api.component`.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from al_framework.api.component import Component, OptionsT
from al_framework.api.predictions import Prediction, Scores
from al_framework.api.runs import RunSummary
from al_framework.api.types import Datapoint, Frame, FrameKey, Receipt, Target, Verdict


class Source(Component[OptionsT]):
    """Where frames come from: a directory, a video, a stream."""

    @abstractmethod
    def frames(self, skip: Callable[[FrameKey], bool]) -> Iterator[Frame]:
        """Yield frames in an order that is the same each time.

        A source that can be resumed asks ``skip(key)`` before it yields a frame, and leaves the
        frame out when the answer is True: the engine, never the source, remembers progress. A
        source that cannot (a live stream) does not ask. Yield pictures that may turn out to be
        broken all the same: the engine counts them and goes on.

        Called once per run on the runner's thread, which pulls one frame at a time. Raise
        `SourceError` if the source as a whole cannot be read: the run ends after what it has.
        """

    def recorded_prediction(self, frame: Frame) -> object | None:
        """Return the prediction that came with a frame, for the adapter; None if there is none.

        Called on the runner's thread at most once for a frame this source has just yielded, and
        only where no predictor is configured. Raise `PredictionError` for an unreadable one: that
        frame is counted and left out.
        """
        del frame
        return None

    def __len__(self) -> int:
        """Return how many frames there are, for a progress bar.

        Called at most once per run, on the runner's thread. Raise `TypeError` (the default) where
        nobody can know.
        """
        msg = f"source {self.context.name!r} does not know how many frames it has"
        raise TypeError(msg)


class Predictor(Component[OptionsT]):
    """A model that looks at frames."""

    @abstractmethod
    def predict(self, frame: Frame) -> object:
        """Return a `Prediction`, or the model's own object for a prediction adapter to read.

        Coordinates are pixels of the upright frame. Report detections down to a low confidence:
        what a threshold has removed, no strategy can see.

        Called for every frame on the runner's thread. Raise `FrameError` for a frame that cannot
        be used: it is counted and left out, as it is after any other error, which is logged.
        """


class PredictionAdapter(Component[OptionsT]):
    """Turns one family of prediction objects into a `Prediction`."""

    @abstractmethod
    def accepts(self, document: object) -> bool:
        """Tell whether this adapter reads such an object, by a cheap look and without imports.

        Called for every frame where the configuration names no adapter, on the
        caller's thread. An error counts as no.
        """

    @abstractmethod
    def adapt(self, document: object, *, frame: Frame, prediction_type: str | None) -> Prediction:
        """Return the prediction in pixels of the upright frame, with `document` set.

        Args:
            document: What the caller or the predictor gave; never written to.
            frame: The frame it belongs to. Reading its pixels here defeats the purpose.
            prediction_type: The caller's word for the task, kept verbatim; None if not given.

        Called for every frame on the caller's thread. Raise `PredictionError` for an object that
        cannot be read: the frame is counted as invalid. A well-formed object of a task that the
        adapter does not know becomes `Unlabelled`.
        """

    def scores(self, document: object, *, prediction_type: str | None) -> Scores | None:
        """Return what detections are of and how sure the model is, or None if `adapt` has to tell.

        A short cut: where every strategy decides by these (`Strategy.scores_only`), `adapt` is
        called for the frames alone that one of them takes. It has to say the same as `adapt`, and
        None for whatever is no detections, or unusual, or wrong. The default is None.

        Args:
            document: As for `adapt`.
            prediction_type: As for `adapt`.

        Called for every frame on the caller's thread, before `adapt`, unless `split` is overridden.
        Errors as for `adapt`.
        """
        del document, prediction_type
        return None

    def split(self, document: object, *, frame: Frame) -> Iterable[tuple[Frame, object]]:
        """Return the frames that one object is about, each with its own part of the object.

        The default is the frame itself. An adapter for crops returns one frame per crop, with
        `Frame.parent` set.

        Called for every frame on the caller's thread, before `adapt`. Errors as for `adapt`.
        """
        return ((frame, document),)


class Strategy(Component[OptionsT]):
    """Decides whether a frame is worth a label.

    A strategy only scores. It draws no random numbers, keeps no budget, reads no clock and does no
    I/O: the engine draws against the verdict's probability, and limits are the engine's. So
    equal inputs give equal verdicts, and a decision can be replayed.

    Attributes:
        tasks: Prediction types it reads, verbatim; None for every type, stubs included. Frames
            of other types are not shown to it, unless the configuration's ``applies_to`` asks for
            them and they are among `also_reads`.
        also_reads: Prediction types that it can read as well when it is asked to.
        needs_pixels: Whether `evaluate` reads `Frame.image` pixels. Then it runs on the
            spool's thread instead of the caller's.
        scores_only: Whether `evaluate` looks at no more of `Detections` than `class_name`,
            `confidence` and `prediction_type`. Then the rest need not be read for frames that no
            strategy takes.
        stateful: Whether verdicts depend on earlier frames. Then each source has an
            instance of its own, asked one frame at a time, and `state_dict` and
            `load_state_dict` carry the state over.
    """

    tasks: ClassVar[frozenset[str] | None] = None
    also_reads: ClassVar[frozenset[str]] = frozenset()
    needs_pixels: ClassVar[bool] = False
    scores_only: ClassVar[bool] = False
    stateful: ClassVar[bool] = False

    @abstractmethod
    def evaluate(self, frame: Frame, prediction: Prediction) -> Verdict:
        """Say whether, how much and why this frame is worth a label.

        Arrays are shared with other strategies: never write to them.

        Called for every frame of an eligible type, on the caller's thread. An error counts as no
        match for this strategy only; twenty in a row switch it off and make the exit status 3.
        """

    def state_dict(self) -> Mapping[str, object]:
        """Return the state as JSON values; called on a stateful strategy when a run ends."""
        return {}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Take up what `state_dict` returned; called on a stateful strategy after `start`."""


class Checkpoint(Protocol):
    """What a sink has already done for one datapoint, kept on disk between attempts."""

    @property
    def state(self) -> Mapping[str, str]:
        """What earlier attempts saved; empty at the first."""
        ...

    def save(self, **values: str) -> None:
        """Add to the state; durable when it returns.

        Raises:
            LeaseLostError: Another worker has taken the datapoint over; stop at once.
        """
        ...


class Sink(Component[OptionsT]):
    """Where datapoints go. A sink makes one attempt; queue, retry and credit are the core's."""

    @property
    def location(self) -> str | None:
        """Where a person finds what was delivered: a directory or an address, without secrets."""
        return None

    @property
    def target(self) -> Target:
        """Where datapoints go that name no target of their own; empty if there is only one place.

        Limits are counted by it. Called once, after `start`; must not touch the network.
        """
        return Target()

    @abstractmethod
    def deliver(self, datapoint: Datapoint, checkpoint: Checkpoint) -> Receipt:
        """Store picture and pre-annotation, once, and return when they are safe.

        The same datapoint can come again after a crash: recognise it by `Datapoint.item_id` or
        `Datapoint.content_key`, and answer ``duplicate`` rather than storing it twice. Save
        what a second attempt needs in the checkpoint.

        Called on one of several delivery threads, often at the same time as other calls. Raise
        `TransientSinkError` to be tried again, `PermanentSinkError` to give this datapoint up,
        `SinkPausedError` when key or configuration are at fault. Any other error counts as
        transient, three times.
        """

    def batch_size(self, batch_name: str, target: Target) -> int | None:
        """Return how many pictures the remote batch holds, labelling jobs included.

        None (the default) means that the sink cannot tell. 0 means that there is no such batch.

        Args:
            batch_name: As in `Datapoint.batch_name`.
            target: As in `Datapoint.target`; empty for the sink's own.

        Called every minute at the most while the batch is in use, on a thread of its own. An error
        is logged, and the last answer holds.
        """
        del batch_name, target
        return None

    def finish_run(self, summary: RunSummary) -> None:
        """Write what belongs to the run as a whole: a page, an index.

        Called once after the last delivery of a run and before `close`, on the thread that
        started the run. An error is logged and nothing else.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvidedConfiguration:
    """What a configuration provider answers.

    Attributes:
        document: A Roboflow Active Learning document, or None: collection is off.
        reason: Why collection is off, for the log; empty otherwise.
        target: The workspace and project that the document is of; limits are counted by it.
        refresh_after_s: Seconds after which to ask again.
    """

    document: Mapping[str, object] | None
    reason: str = ""
    target: Target = field(default_factory=Target)
    refresh_after_s: float = 900.0


class ConfigurationProvider(Component[OptionsT]):
    """Brings the ``active_learning`` document from a server instead of the file."""

    @property
    def identity(self) -> str:
        """What the documents belong to, such as a hash of key and project.

        The last document is kept on disk under this name, for the time before the first answer of
        the next run; whoever has another key or asks for another project must not find it. It must
        not tell the key. Empty (the default) keeps nothing on disk: every run then waits for its
        first answer.

        Called once, after `start`; must not touch the network. An error is logged and counts as
        empty.
        """
        return ""

    @abstractmethod
    def fetch(self) -> ProvidedConfiguration:
        """Ask the server once.

        Called at the start and then every `ProvidedConfiguration.refresh_after_s` on a thread of
        its own, never on the caller's. After an error, which is logged, the last document holds.
        """


COMPONENT_KINDS: Mapping[str, type[Component[Any]]] = {
    "source": Source,
    "predictor": Predictor,
    "prediction_adapter": PredictionAdapter,
    "strategy": Strategy,
    "sink": Sink,
    "configuration_provider": ConfigurationProvider,
}
