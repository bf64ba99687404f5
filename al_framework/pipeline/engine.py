"""The stages between an offered frame and an accepted datapoint, for every way in.

The library offers frames on the caller's thread and finishes them on the spool's; `al run` does
both in its loop. Either way a frame passes the same four steps: `offer` (adapter, cheap
strategies, selection, a look at the limits: no pixel is read), `prepare` (strategies that read
pixels, encoding), `accept` (limits for good, disk), and the tally sees every one of them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol, TypeAlias

from al_framework.api import (
    Clock,
    Decision,
    Frame,
    FrameError,
    FrameKey,
    ImageError,
    Prediction,
)
from al_framework.api._faults import named_text_of, plugin_errors, text_of
from al_framework.api.codec import decision_to_dict
from al_framework.pipeline.adaptation import Adaptation
from al_framework.pipeline.composing import compose_candidate
from al_framework.pipeline.encoding import encode_frame
from al_framework.pipeline.glancing import Glance
from al_framework.pipeline.identity import Names
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.offers import Ended, Offer, Pending
from al_framework.pipeline.plan import Plan
from al_framework.pipeline.recent import RecentImages
from al_framework.pipeline.selection import first_match, matching
from al_framework.pipeline.spool import Acceptance, Candidate, SeenFrame
from al_framework.pipeline.tally import Tally

Entry: TypeAlias = Candidate | SeenFrame
Keep: TypeAlias = Callable[[Frame, Prediction], tuple[Frame, Prediction] | str]


class Acceptor(Protocol):
    """Where prepared frames go: the spool, or nowhere in a dry run."""

    def accept(self, entries: Sequence[Entry]) -> list[Acceptance]:
        """Take a group of frames, all or none."""
        ...


# Made once: most frames end here.
_NOT_SELECTED = Ended(status="not_selected")
_LIMITED = Ended(status="limited")


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
        ledger: As given.
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
        self.ledger = ledger
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
        keep: Keep | None = None,
    ) -> list[Offer]:
        """Decide about a frame without reading a pixel; one offer per crop where it has crops.

        Args:
            frame: The frame.
            document: Its prediction, or what a prediction adapter reads.
            prediction_type: The task, where the document does not say it.
            model_id: Which model, where the document does not say it.
            inference_id: Which request, where the document does not say it.
            key: What to remember the frame by.
            keep: Asked for copies that nobody will change, of what is still in the race only; or
                for the reason why the frame is dropped.
        """
        plan = self.plan  # once: it may be replaced while we work
        if plan is None or plan.off:
            return [self._turn_away(plan)]
        decided_at = self.clock.time()
        try:
            parts = self._adaptation.read(document, frame, prediction_type)
        except plugin_errors() as exc:  # a plugin boundary: adapters raise what they like
            self.tally.offer()
            who = self._adaptation.reader(document)
            return [self.refuse(frame, exc, key=key, decided_at=decided_at, who=who)]
        offers: list[Offer] = []
        for part, prediction in parts:
            self.tally.offer()
            part_key = key if part is frame else None
            if isinstance(prediction, Exception):
                who = self._adaptation.reader(document)
                offers.append(
                    self.refuse(part, prediction, key=part_key, decided_at=decided_at, who=who)
                )
                continue
            model = model_id or prediction.model_id or None  # an empty name is none
            inference = inference_id or prediction.inference_id
            pending = Pending(plan, part, prediction, decided_at, (), model, inference, part_key)
            offers.append(self._decide(pending, keep))
        if key is not None and all(part is not frame for part, _ in parts):
            # The frame itself is not offered, only its crops: it is dealt with when they are.
            detail = {"crops": [part.frame_id for part, _ in parts]}
            offers.append(Ended(status="split", entry=_seen(key, "split", detail, decided_at)))
        return offers

    def refuse(
        self,
        frame: Frame,
        exc: BaseException,
        *,
        key: FrameKey | None,
        decided_at: float | None = None,
        who: str = "",
    ) -> Ended:
        """Count an offered frame as lost, and say why.

        What is wrong with the frame itself is remembered and not tried again; any other error (no
        memory, a bug in a model) may not come again.

        Args:
            frame: The frame.
            exc: What is wrong with it.
            key: What to remember it by.
            decided_at: When that was; None for now.
            who: The component that has raised the error, if one has.
        """
        known = isinstance(exc, FrameError)
        reason = "invalid_image" if isinstance(exc, ImageError) else "invalid_prediction"
        reason = reason if known else "failed"
        text = text_of(exc) if known else named_text_of(exc)
        if who and not known:
            text = f"{who} failed with {text}: repair or update its plugin"
        self.tally.drop(reason)
        self.report(f"frame {frame.frame_id!r}: {text}", None if known else exc)
        at = self.clock.time() if decided_at is None else decided_at
        detail: dict[str, object] = {"error": text}
        entry = _seen(key, reason, detail, at) if known else None
        return Ended(status="invalid", reason=text, entry=entry)

    def prepare(self, pending: Pending) -> "Candidate | Ended":
        """Finish a decision and encode the picture; an `Ended` says why the frame is out."""
        plan = pending.plan
        try:
            if plan.sampler.has_pixel_strategies:
                second = plan.sampler.evaluate(pending.frame, pending.prediction, pixels=True)
                pending.verdicts = plan.sampler.merge(pending.verdicts, second)
                out = self._conclude(pending)
                if out is not None:
                    return out
            encoded = encode_frame(pending.frame, pending.prediction, plan.rules.encoding)
            decision = self._decision(pending)
            candidate = compose_candidate(pending, encoded, decision, item_id=self._names.make())
        except Exception as exc:  # noqa: BLE001 - one bad frame must not take others with it
            return self.refuse(pending.frame, exc, key=pending.key, decided_at=pending.decided_at)
        if not self._claim(candidate.item_id, plan.dataset, encoded.content_key):
            self.tally.drop("recently_sent")
            entry = _seen(pending.key, "recently_sent", {}, pending.decided_at)
            return Ended(status="dropped", reason="recently_sent", entry=entry)
        return candidate

    def accept(self, entries: Sequence[Entry], *, may_come_again: bool = False) -> list[Acceptance]:
        """Hand a group to the spool and count what became of it.

        Args:
            entries: The group.
            may_come_again: Leave those uncounted that are ``limiter_unavailable``: the caller
                hands them over again, or to `lose`.

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
            elif may_come_again and result.status == "limiter_unavailable":
                continue
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

    def _turn_away(self, plan: Plan | None) -> Ended:
        self.tally.offer()
        if plan is None:
            self.tally.drop("no_configuration")
            return Ended(status="dropped", reason="no_configuration")
        self.tally.settle("not_selected")
        return Ended(status="not_selected", reason=plan.off)

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

    def _decide(self, pending: Pending, keep: Keep | None) -> Offer:
        try:
            sampler = pending.plan.sampler
            if not sampler.scores_only and (out := self._complete(pending)) is not None:
                return out
            pending.verdicts = sampler.evaluate(pending.frame, pending.prediction, pixels=False)
            if not sampler.has_pixel_strategies:
                out = self._conclude(pending)
                if out is not None:
                    return out
            if (out := self._complete(pending)) is not None:
                return out
            if keep is not None:
                kept = keep(pending.frame, pending.prediction)
                if isinstance(kept, str):
                    self.tally.drop(kept)
                    return Ended(status="dropped", reason=kept)
                pending.frame, pending.prediction = kept
        except Exception as exc:  # noqa: BLE001 - a caller's own Detections or name of a frame may hold anything, its picture may not load
            return self.refuse(pending.frame, exc, key=pending.key, decided_at=pending.decided_at)
        return pending

    def _complete(self, pending: Pending) -> Ended | None:
        """Have the whole prediction read, not its scores alone; return how that ends the frame."""
        glance = pending.prediction
        if type(glance) is not Glance:
            return None
        try:
            pending.prediction = self._adaptation.complete(glance)
        except plugin_errors() as exc:  # a plugin boundary, as in `offer`
            at, key = pending.decided_at, pending.key
            who = f"adapter {glance.reader!r}"
            return self.refuse(pending.frame, exc, key=key, decided_at=at, who=who)
        return None

    def _conclude(self, pending: Pending) -> Ended | None:
        """Return how a frame ends whose verdicts are known; None while it is in the race."""
        takers = matching(pending.verdicts)
        if not takers:
            entry = self._remember(pending, "not_selected") if pending.key is not None else None
            self.tally.settle("not_selected")  # last: whoever raises before it is refused instead
            return _NOT_SELECTED if entry is None else Ended(status="not_selected", entry=entry)
        self.tally.match()
        if self.ledger.peek(takers, pending.decided_at) is None:
            entry = self._remember(pending, "limited")
            self.tally.settle("limited")
            return _LIMITED if entry is None else Ended(status="limited", entry=entry)
        return None

    def _decision(self, pending: Pending) -> Decision:
        return first_match(
            pending.verdicts,
            frame_id=pending.frame.frame_id,
            decided_at=pending.decided_at,
            seed=pending.plan.sampler.seed,
            configuration_hash=pending.plan.configuration_hash,
        )

    def _remember(
        self, pending: Pending, outcome: Literal["not_selected", "limited"]
    ) -> SeenFrame | None:
        if pending.key is None:  # the library's frames: nothing is written for a no
            return None
        decision = replace(self._decision(pending), outcome=outcome)
        return _seen(pending.key, outcome, decision_to_dict(decision), pending.decided_at)


def _seen(
    key: FrameKey | None, outcome: str, detail: Mapping[str, object], decided_at: float
) -> SeenFrame | None:
    if key is None:
        return None
    return SeenFrame(key=key, outcome=outcome, detail=detail, decided_at=decided_at)
