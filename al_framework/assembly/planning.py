"""From an Active Learning document to the plan that the engine works by.

At the start for the document in the file, and again whenever a provider brings another one. A
strategy of the same name, type and options goes on with what it knows, also after a time in which
collection was switched off; the others are started anew, and what they replace is closed when the
last frame has passed it.
"""

import hashlib
import json
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

from al_framework.api import Strategy, Target
from al_framework.assembly.starting import Starter
from al_framework.config.collection import Collection
from al_framework.config.models import ComponentEntry, Configuration, StrategyEntry
from al_framework.config.secrets import secret_values
from al_framework.pipeline.batching import batch_name
from al_framework.pipeline.encoding import EncodingRules
from al_framework.pipeline.limits.base import Ledger, LimitRule
from al_framework.pipeline.plan import CollectionRules, Plan
from al_framework.pipeline.sampling import FaultReporter, Sampler, StrategySlot
from al_framework.pipeline.strategy_state import load_state
from al_framework.pipeline.tagging import compose_tags
from al_framework.pipeline.tally import Tally

SWITCHED_OFF = "active_learning.enabled is false"
NOTHING_KNOWN = "no strategy of the document is known here"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Started:
    """A strategy at work.

    Attributes:
        strategy: As configured.
        slot: What asks it; frames on their way hold it, too.
        stack: Closes its instances.
    """

    strategy: StrategyEntry
    slot: StrategySlot
    stack: ExitStack


class Planner:
    """Makes plans for one engine.

    Args:
        configuration: What the user wrote, checked.
        starter: Starts strategies.
        stack: Takes what has to be closed at the end.
        ledger: Told of the limits.
        tally: Counts for the strategies.
        seed: Seed of the draws.
        report: Told of faults of strategies.
        environment_tags: Tags that the environment adds.
        sources: Names of the sources that a stateful strategy is started for; none for
            submitted frames.

    Attributes:
        sink_target: Where the first sink delivers to, as far as it knows; set once it has started.
    """

    def __init__(  # noqa: PLR0913 - what a plan is made of, keyword-only
        self,
        configuration: Configuration,
        *,
        starter: Starter,
        stack: ExitStack,
        ledger: Ledger,
        tally: Tally,
        seed: int,
        report: FaultReporter,
        environment_tags: Sequence[str],
        sources: Sequence[str] = (),
    ) -> None:
        self._configuration = configuration
        self._starter = starter
        self._stack = stack
        self._ledger = ledger
        self._tally = tally
        self._seed = seed
        self._report = report
        self._environment_tags = tuple(environment_tags)
        self._sources = tuple(sources) or ("",)
        self.sink_target = Target()
        self._started: Mapping[str, _Started] = {}
        self._replaced: list[tuple[weakref.ref[StrategySlot], ExitStack]] = []
        self._lock = threading.Lock()
        self._closed = False

    def start(self, collection: Collection) -> bool:
        """Start the strategies of a document, ahead of its plan; False after `close`.

        A document without any, which collects nothing, leaves those of the one before at rest.

        Raises:
            ComponentError: One could not be started; then none is.
        """
        before = self._started
        with ExitStack() as stack:
            started = {s.entry.name: self._start(s, stack) for s in collection.strategies}
            with self._lock:
                if self._closed:
                    return False
                self._stack.push(stack.pop_all())
        if not started:
            return True
        for name, one in started.items():
            if before.get(name) is not one:
                one.slot.tally.disabled = False  # what was switched off had other options
        self._replaced += [
            (weakref.ref(one.slot), one.stack)
            for name, one in before.items()
            if started.get(name) is not one
        ]
        self._started = started
        return True

    def tidy(self) -> None:
        """Close the strategies that were replaced, once no frame is on its way through them."""
        with self._lock:  # at the end everything is closed, and by another thread
            if self._closed:
                return
            waiting, self._replaced = self._replaced, []
            for slot, stack in waiting:
                if slot() is None:
                    stack.close()
                else:
                    self._replaced.append((slot, stack))

    def plan(
        self,
        collection: Collection,
        *,
        configuration_hash: str,
        provided: Target | None = None,
        off: str = "",
    ) -> Plan | None:
        """Return the plan of a document, its strategies started and its limits in force.

        Args:
            collection: The document.
            configuration_hash: Stands in every decision.
            provided: Where the document is from, if a provider brought it.
            off: Why nothing is collected, in the provider's words.

        Returns:
            The plan; None after `close`.

        Raises:
            ComponentError: A strategy could not be started; nothing has changed.
        """
        if not self.start(collection):
            return None
        slots = [one.slot for one in self._started.values()]
        target = self._target(collection, provided)
        self._tally.expect({slot.name: slot.tally for slot in slots})
        self._ledger.update(_limits(collection.strategies), scope=self._scope(target))
        return Plan(
            sampler=Sampler(slots, seed=self._seed, report=self._report),
            rules=self._rules(collection),
            configuration_hash=configuration_hash,
            dataset=_dataset_key(self._configuration.sinks, target, collection),
            off=off or _reason(collection),
        )

    def close(self) -> None:
        """Make no more plans: what closes strategies at the end is about to run."""
        with self._lock:
            self._closed = True

    def after_fork(self) -> None:
        """Go on in the child with a lock that nobody holds."""
        self._lock = threading.Lock()

    def _start(self, strategy: StrategyEntry, stack: ExitStack) -> _Started:
        entry = strategy.entry
        known = self._started.get(entry.name)
        if known is not None and _is_same(known.strategy, strategy):
            return known
        own = stack.enter_context(ExitStack())  # for later instances, too, one for each source

        def build(source: str) -> Strategy:
            resume = partial(load_state, source=source)
            return cast("Strategy", self._starter.start(entry, own, resume=resume))

        slot = StrategySlot(
            entry.name,
            plugin=entry.plugin,
            strategy=cast("type[Strategy]", entry.component),
            tasks=strategy.tasks,
            build=build,
            tally=self._tally.strategy(entry.name),
        )
        for name in self._sources:
            slot.instance(name)  # a stateful one that cannot start should do so now
        return _Started(strategy=strategy, slot=slot, stack=own)

    def _target(self, collection: Collection, provided: Target | None) -> Target:
        document = collection.active_learning
        known = (provided or Target(), self.sink_target)
        return Target(
            workspace=document.target_workspace
            or next((t.workspace for t in known if t.workspace), None),
            project=document.target_project or next((t.project for t in known if t.project), None),
        )

    def _scope(self, target: Target) -> str:
        if target.project is None:
            return self._configuration.name
        return f"{target.workspace or ''}/{target.project}"

    def _rules(self, collection: Collection) -> CollectionRules:
        configuration, document = self._configuration, collection.active_learning
        batching = document.batching_strategy
        zone = configuration.batch_time_zone
        tz = None if zone is None else ZoneInfo(zone)
        by_strategy = {strategy.entry.name: strategy.tags for strategy in collection.strategies}
        size = document.max_image_size
        return CollectionRules(
            encoding=EncodingRules(
                max_image_size=None if size is None else (size[0], size[1]),
                jpeg_quality=document.jpeg_compression_level,
                verify=configuration.verify_images,
            ),
            batch_name=lambda at: batch_name(
                batching.batches_name_prefix, batching.recreation_interval, at, tz
            ),
            tags=lambda strategy, model_id: compose_tags(
                environment=self._environment_tags,
                configuration=document.tags,
                strategy=by_strategy[strategy],
                model_id=model_id,
                persist_predictions=document.persist_predictions,
            ),
            persist_predictions=document.persist_predictions,
            max_batch_images=batching.max_batch_images,
            target=Target(workspace=document.target_workspace, project=document.target_project),
        )


def _reason(collection: Collection) -> str:
    if not collection.active_learning.enabled:
        return SWITCHED_OFF
    return "" if collection.strategies else NOTHING_KNOWN


def _limits(strategies: Sequence[StrategyEntry]) -> dict[str, list[LimitRule]]:
    return {
        strategy.entry.name: [
            LimitRule(period=limit.type, value=limit.value) for limit in strategy.limits
        ]
        for strategy in strategies
    }


def _is_same(old: StrategyEntry, new: StrategyEntry) -> bool:
    """Tell whether a strategy can go on; it knows nothing of its limits and tags."""
    same_class = old.entry.component is new.entry.component
    return same_class and old.entry.options == new.entry.options and old.tasks == new.tasks


def _dataset_key(sinks: Sequence[ComponentEntry], target: Target, collection: Collection) -> str:
    """Return a name for where pictures end up, the same in every collector that delivers there.

    Two keys may each have a project of one name, so the secrets take part, as a hash. Where no
    project is known, it is the sinks as they are configured.
    """
    options = [sink.options for sink in sinks]
    secrets = [secret_values(one) for one in options]
    if target.project is None:
        place: list[Any] = [
            [sink.type_name, sink.options.model_dump(mode="json")] for sink in sinks
        ]
    else:
        place = [collection.active_learning.target_workspace, target.project]
    text = json.dumps([place, secrets], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
