"""The stages between an offered frame and an accepted datapoint, for every way in.

The library offers frames on the caller's thread and finishes them on the spool's; `al run` does
both in its loop. Either way a frame passes the same four steps: `offer` (adapter, cheap
strategies, selection, a look at the limits: no pixel is read), `prepare` (strategies that read
pixels, encoding), `accept` (limits for good, disk), and the tally sees every one of them.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias

from al_framework.api import (
    Clock,
    Datapoint,
    Decision,
    Frame,
    FrameError,
    FrameKey,
    ImageError,
    Prediction,
    PredictionError,
    StrategyVerdict,
    Ticket,
    Unlabelled,
)
from al_framework.api.codec import datapoint_to_dict, decision_to_dict
from al_framework.pipeline.adaptation import Adaptation
from al_framework.pipeline.checking import check_prediction
from al_framework.pipeline.encoding import EncodedFrame, encode_frame
from al_framework.pipeline.identity import Names
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.plan import Plan
from al_framework.pipeline.recent import RecentImages
from al_framework.pipeline.selection import first_match
from al_framework.pipeline.spool import Acceptance, Candidate, SeenFrame
from al_framework.pipeline.tally import Tally

Entry: TypeAlias = Candidate | SeenFrame


class Acceptor(Protocol):
    """Where prepared frames go: the spool, or nowhere in a dry run."""

    def accept(self, entries: Sequence[Entry]) -> list[Acceptance]:
        """Take a group of frames, all or none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A frame that may become a datapoint: some strategy takes it, or may after a look at it.

    Whatever is still to be done to it is done by the plan under which it was offered.
    """

    plan: Plan
    frame: Frame
    prediction: Prediction
    decided_at: float
    verdicts: Sequence[StrategyVerdict]
    model_id: str | None
    inference_id: str | None
    key: FrameKey | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What became of a frame so far.

    Attributes:
        status: ``pending`` while it is still in the race; ``split`` when only its crops are.
        reason: Why, where the status alone does not say.
        pending: The frame, if it is still in the race.
        entry: What to remember of it, if it is not.
    """

    status: Literal["pending", "not_selected", "limited", "invalid", "dropped", "split"]
    reason: str = ""
    pending: Pending | None = None
    entry: SeenFrame | None = None

    def ticket(self, frame_id: str) -> Ticket:
        """Return the answer to a caller whose frame is out of the race."""
        said = self.status
        status = said if said in ("limited", "invalid", "dropped") else "not_selected"
        return Ticket(status=status, reason=self.reason, frame_id=frame_id)


class Engine:
    """Takes frames through the stages.

    Args:
        plan: What is done with frames; None while there is no configuration.
        adaptation: The prediction adapters.
        ledger: The limits.
        acceptor: Where prepared frames go.
        tally: The counts.
        clock: Time.
        names: Names for items.
        report: Told of bad frames.
        recent: What collectors of this process have sent lately; None to send all there is.

    Attributes:
        plan: As given; to be replaced by assignment, on any thread. Frames that were offered
            before keep the one that they were offered under.
    """

    def __init__(  # noqa: PLR0913 - the stages it joins, keyword-only
        self,
        *,
        plan: Plan | None,
        adaptation: Adaptation,
        ledger: Ledger,
        acceptor: Acceptor,
        tally: Tally,
        clock: Clock,
        names: Names,
        report: Callable[[str, BaseException | None], None],
        recent: RecentImages | None = None,
    ) -> None:
        self.plan = plan
        self.tally = tally
        self.clock = clock
        self.report = report
        self._adaptation = adaptation
        self._ledger = ledger
        self._acceptor = acceptor
        self._names = names
        self._recent = recent
        self._claims: dict[str, tuple[str, str]] = {}  # what each item has claimed there

    def offer(  # noqa: PLR0913 - what the caller may know of a frame, keyword-only
        self,
        frame: Frame,
        document: object,
        *,
        prediction_type: str | None = None,
        model_id: str | None = None,
        inference_id: str | None = None,
        key: FrameKey | None = None,
    ) -> list[Offer]:
        """Decide about a frame without reading a pixel; one offer per crop where it has crops."""
        plan = self.plan  # once: it may be replaced while we work
        if plan is None or plan.off:
            return [self._turn_away(plan)]
        decided_at = self.clock.time()
        try:
            parts = list(self._adaptation.read(document, frame, prediction_type))
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - a plugin boundary: adapters raise what they like
            self.tally.offer()
            return [self.refuse(frame, exc, key=key, decided_at=decided_at)]
        offers = []
        for part, prediction in parts:
            self.tally.offer()
            part_key = key if part is frame else None
            if isinstance(prediction, Exception):
                offers.append(self.refuse(part, prediction, key=part_key, decided_at=decided_at))
                continue
            pending = Pending(
                plan=plan,
                frame=part,
                prediction=prediction,
                decided_at=decided_at,
                verdicts=(),
                model_id=model_id or prediction.model_id or None,  # an empty name is none
                inference_id=inference_id or prediction.inference_id,
                key=part_key,
            )
            offers.append(self._decide(pending))
        if key is not None and all(part is not frame for part, _ in parts):
            # The frame itself is not offered, only its crops: it is dealt with when they are.
            detail = {"crops": [part.frame_id for part, _ in parts]}
            offers.append(Offer(status="split", entry=_seen(key, "split", detail, decided_at)))
        return offers

    def refuse(
        self,
        frame: Frame,
        exc: BaseException,
        *,
        key: FrameKey | None,
        decided_at: float | None = None,
    ) -> Offer:
        """Count an offered frame as lost, and say why.

        What is wrong with the frame itself is remembered and not tried again; any other error (no
        memory, a bug in a model) may not come again.
        """
        known = isinstance(exc, FrameError)
        reason = "invalid_image" if isinstance(exc, ImageError) else "invalid_prediction"
        reason = reason if known else "failed"
        text = str(exc) if known else f"{type(exc).__name__}: {exc}"
        self.tally.drop(reason)
        self.report(f"frame {frame.frame_id!r}: {text}", None if known else exc)
        at = self.clock.time() if decided_at is None else decided_at
        detail: dict[str, object] = {"error": text}
        entry = _seen(key, reason, detail, at) if known else None
        return Offer(status="invalid", reason=text, entry=entry)

    def prepare(self, pending: Pending) -> "Candidate | Offer":
        """Finish a decision and encode the picture; an `Offer` says why the frame is out."""
        plan = pending.plan
        try:
            if plan.sampler.has_pixel_strategies:
                second = plan.sampler.evaluate(pending.frame, pending.prediction, pixels=True)
                verdicts = plan.sampler.merge(pending.verdicts, second)
                offer = self._conclude(replace(pending, verdicts=verdicts))
                if offer.pending is None:
                    return offer
                pending = offer.pending
            encoded = encode_frame(pending.frame, pending.prediction, plan.rules.encoding)
            candidate = self._candidate(pending, encoded)
            _check_writable(candidate.compose(candidate.matching[0]))
        except Exception as exc:  # noqa: BLE001 - one bad frame must not take others with it
            return self.refuse(pending.frame, exc, key=pending.key, decided_at=pending.decided_at)
        if not self._claim(candidate.item_id, plan.dataset, encoded.content_key):
            self.tally.drop("recently_sent")
            entry = _seen(pending.key, "recently_sent", {}, pending.decided_at)
            return Offer(status="dropped", reason="recently_sent", entry=entry)
        return candidate

    def accept(self, entries: Sequence[Entry]) -> list[Acceptance]:
        """Hand a group to the spool and count what became of it.

        Raises:
            SpoolFullError: There is no room; nothing of the group was taken.
            SpoolError: The spool cannot be used; nothing of the group was taken.
        """
        results = self._acceptor.accept(entries)
        for result in results:
            if result.status == "accepted":
                self.tally.settle("accepted")
                self.tally.paid(result.strategy or "")
            elif result.status == "limited":
                self.tally.settle("limited")
            else:
                self.tally.drop(result.status)
            self._settle_claim(result.item_id, sent=result.status == "accepted")
        return results

    def lose(self, entries: Iterable[Entry], reason: str) -> None:
        """Count the candidates of a group as lost that the spool has not taken."""
        for entry in entries:
            if isinstance(entry, Candidate):
                self.tally.drop(reason)
                self._settle_claim(entry.item_id, sent=False)

    def _turn_away(self, plan: Plan | None) -> Offer:
        self.tally.offer()
        if plan is None:
            self.tally.drop("no_configuration")
            return Offer(status="dropped", reason="no_configuration")
        self.tally.settle("not_selected")
        return Offer(status="not_selected", reason=plan.off)

    def _claim(self, item_id: str, dataset: str, content_key: str) -> bool:
        if self._recent is None:
            return True
        if not self._recent.claim(dataset, content_key):
            return False
        self._claims[item_id] = (dataset, content_key)
        return True

    def _settle_claim(self, item_id: str, *, sent: bool) -> None:
        claim = self._claims.pop(item_id, None)
        if claim is not None and self._recent is not None and not sent:
            self._recent.release(*claim)

    def _decide(self, pending: Pending) -> Offer:
        try:
            check_prediction(pending.prediction)
            sampler = pending.plan.sampler
            verdicts = sampler.evaluate(pending.frame, pending.prediction, pixels=False)
            pending = replace(pending, verdicts=verdicts)
            if sampler.has_pixel_strategies:
                return Offer(status="pending", pending=pending)
            return self._conclude(pending)
        except Exception as exc:  # noqa: BLE001 - a caller's own Detections or name of a frame may hold anything, and the ledger's disk may fail
            return self.refuse(pending.frame, exc, key=pending.key, decided_at=pending.decided_at)

    def _conclude(self, pending: Pending) -> Offer:
        decision = self._decision(pending)
        if not decision.matching:
            entry = self._remember(pending, decision)
            self.tally.settle("not_selected")  # last: whoever raises before it is refused instead
            return Offer(status="not_selected", entry=entry)
        self.tally.match()
        if self._ledger.peek(decision.matching, pending.decided_at) is None:
            entry = self._remember(pending, replace(decision, outcome="limited"))
            self.tally.settle("limited")
            return Offer(status="limited", entry=entry)
        return Offer(status="pending", pending=pending)

    def _decision(self, pending: Pending) -> Decision:
        return first_match(
            pending.verdicts,
            frame_id=pending.frame.frame_id,
            decided_at=pending.decided_at,
            seed=pending.plan.sampler.seed,
            configuration_hash=pending.plan.configuration_hash,
        )

    def _remember(self, pending: Pending, decision: Decision) -> SeenFrame | None:
        if pending.key is None:  # the library's frames: nothing is written for a no
            return None
        return _seen(pending.key, decision.outcome, decision_to_dict(decision), pending.decided_at)

    def _candidate(self, pending: Pending, encoded: EncodedFrame) -> Candidate:
        decision = self._decision(pending)
        item_id = self._names.make()
        rules = pending.plan.rules
        batch_name = rules.batch_name(pending.decided_at)
        frame, prediction = pending.frame, encoded.prediction
        # A document of a task that we do not read is passed on as it is.
        said = not isinstance(prediction, Unlabelled) or isinstance(prediction.document, Mapping)
        persisted = rules.persist_predictions and said

        def compose(strategy: str) -> Datapoint:
            paying = next(e.verdict for e in decision.verdicts if e.strategy == strategy)
            return Datapoint(
                item_id=item_id,
                frame_id=frame.frame_id,
                content_key=encoded.content_key,
                image=encoded.image,
                image_size=encoded.image_size,
                prediction=prediction if persisted else None,
                source_size=encoded.source_size,
                batch_name=batch_name,
                tags=rules.tags(strategy, pending.model_id),
                strategy=strategy,
                utility=paying.utility,
                probability=paying.probability,
                reason=paying.reason,
                model_id=pending.model_id,
                inference_id=pending.inference_id,
                captured_at=frame.captured_at,
                decided_at=pending.decided_at,
                attributes=frame.attributes,
                source=frame.source,
                parent=frame.parent,
                decision=decision,
                target=rules.target,
            )

        return Candidate(
            item_id=item_id,
            image=encoded.image,
            matching=decision.matching,
            decided_at=pending.decided_at,
            batch_name=batch_name,
            max_batch_images=rules.max_batch_images,
            target=rules.target,
            compose=compose,
            # The library's frames have no file; a row of their own lets `al explain` find them.
            key=pending.key
            or FrameKey(source=frame.source, frame_id=frame.frame_id, size=0, mtime_ns=0),
        )


def _check_writable(datapoint: Datapoint) -> None:
    """Find what JSON cannot express before the spool's lock is taken, where it costs one frame."""
    try:
        json.dumps(datapoint_to_dict(datapoint), allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise PredictionError(
            f"its metadata cannot be written as JSON ({exc}): look at its attributes, keypoints "
            "and embedding"
        ) from exc


def _seen(
    key: FrameKey | None, outcome: str, detail: Mapping[str, object], decided_at: float
) -> SeenFrame | None:
    if key is None:
        return None
    return SeenFrame(key=key, outcome=outcome, detail=detail, decided_at=decided_at)
