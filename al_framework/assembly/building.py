"""Build and start what a configuration names, and join the stages."""

import hashlib
import logging
import random
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, cast
from zoneinfo import ZoneInfo

from al_framework.api import (
    AlFrameworkError,
    Clock,
    Component,
    ComponentError,
    Context,
    PredictionAdapter,
    RunInfo,
    Sink,
    Strategy,
)
from al_framework.assembly.lifetime import Assembly
from al_framework.config.models import ComponentEntry, Configuration, StrategyEntry
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.adaptation import Adaptation
from al_framework.pipeline.batching import batch_name
from al_framework.pipeline.delivery import Delivery
from al_framework.pipeline.dry_run import DryRun
from al_framework.pipeline.encoding import EncodingRules
from al_framework.pipeline.engine import CollectionRules, Engine
from al_framework.pipeline.identity import Names
from al_framework.pipeline.limits.base import Ledger, LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.runner import BoundSource
from al_framework.pipeline.sampling import Sampler, StrategySlot
from al_framework.pipeline.spool import Spool, SpoolLimits
from al_framework.pipeline.strategy_state import load_state
from al_framework.pipeline.tagging import compose_tags, environment_tags
from al_framework.pipeline.tally import Tally

logger = logging.getLogger(__name__)


class Builder:
    """Builds one assembly.

    Args:
        configuration: What the user wrote, checked.
        host: The plugins.
        clock: Time.
        stack: Takes what has to be closed again.
    """

    def __init__(
        self, configuration: Configuration, host: PluginHost, clock: Clock, stack: ExitStack
    ) -> None:
        self._configuration = configuration
        self._host = host
        self._clock = clock
        self._stack = stack

    def assemble(
        self,
        rng: random.Random,
        environ: Mapping[str, str],
        *,
        with_sources: bool,
        dry_run: bool,
    ) -> Assembly:
        """Build and start everything; see `al_framework.assembly.assemble`."""
        configuration = self._configuration
        names = Names(self._clock, rng)
        seed = configuration.seed if configuration.seed is not None else rng.getrandbits(64)
        run = RunInfo(
            run_id=names.make(),
            name=configuration.name,
            configuration_hash=configuration.configuration_hash,
            seed=seed,
            started_at=self._clock.time(),
        )
        tally = Tally(strategy.entry.name for strategy in configuration.strategies)
        report = _reporter(tally)
        # Sources first: a mistyped path should be found before anything is created.
        sources = configuration.sources if with_sources else ()
        bound = tuple(BoundSource(name=entry.name, source=self._start(entry)) for entry in sources)
        adaptation = self._adaptation()
        predictor = self._start(configuration.predictor) if with_sources else None
        slots = [self._slot(strategy, tally) for strategy in configuration.strategies]
        for slot in slots:  # a stateful one that cannot start should end the run before it begins
            for name in [entry.name for entry in sources] or [""]:
                slot.instance(name)
        sampler = Sampler(slots, seed=seed, report=_reporter(tally, capped=False))
        ledger = self._ledger(dry_run=dry_run)
        sinks: dict[str, Sink] = {}
        spool: Spool | None = None
        delivery: Delivery | None = None
        if not dry_run:
            sinks = {entry.name: self._start(entry) for entry in configuration.sinks}
            spool = self._spool(ledger, sinks)
            delivery = self._delivery(spool, sinks, rng)
        engine = Engine(
            sampler=sampler,
            adaptation=adaptation,
            ledger=ledger,
            acceptor=DryRun(ledger) if spool is None else spool,
            rules=self._rules(environ),
            tally=tally,
            clock=self._clock,
            names=names,
            configuration_hash=configuration.configuration_hash,
            report=report,
        )
        return Assembly(
            configuration=configuration,
            host=self._host,
            clock=self._clock,
            run=run,
            engine=engine,
            sources=bound,
            predictor=predictor,
            sinks=sinks,
            spool=spool,
            delivery=delivery,
            stack=self._stack,
        )

    def _start(self, entry: ComponentEntry | None) -> Any:
        """Build and start one component; what it is follows from the entry's kind."""
        if entry is None:
            return None
        who = f"{entry.kind.replace('_', ' ')} {entry.name!r} (plugin {entry.plugin!r})"
        try:
            component = entry.component(entry.options, self._context(entry))
            self._stack.callback(_close, component, who)
            component.start()
        except (
            Exception,
            SystemExit,
        ) as exc:  # a plugin boundary: half a configuration would collect the wrong data
            known = isinstance(exc, AlFrameworkError | OSError)
            text = str(exc) if known else f"{type(exc).__name__}: {exc}"
            text = text.removeprefix(f"{entry.kind} {entry.name!r}: ")  # it is named already
            raise ComponentError(
                f"{who} could not start: {text}", plugin=entry.plugin, component=entry.name
            ) from exc
        return component

    def _context(self, entry: ComponentEntry) -> Context:
        return Context(
            name=entry.name,
            logger=logging.getLogger(f"al_framework.{entry.kind}.{entry.name}"),
            clock=self._clock,
            base_dir=self._configuration.base_dir,
            # A strategy's name may be any text, as Roboflow allows; only its safe part is a path.
            state_dir=self._configuration.spool_dir / "state" / _directory_name(entry),
        )

    def _slot(self, strategy: StrategyEntry, tally: Tally) -> StrategySlot:
        entry = strategy.entry

        def build(source: str) -> Strategy:
            built = cast("Strategy", self._start(entry))
            load_state(built, source)
            return built

        return StrategySlot(
            entry.name,
            plugin=entry.plugin,
            strategy=cast("type[Strategy]", entry.component),
            build=build,
            tally=tally.strategy(entry.name),
        )

    def _adaptation(self) -> Adaptation:
        chosen = self._configuration.adapter
        if chosen is not None:
            adapter: PredictionAdapter = self._start(chosen)
            return Adaptation([(chosen.name, adapter)], fixed=True)
        adapters = []
        for registration in self._host.registry.registrations("prediction_adapter"):
            fields = registration.component.Options.model_fields.values()
            if any(field.is_required() for field in fields):
                continue  # it cannot be chosen without a word from the user
            entry = ComponentEntry(
                kind=registration.kind,
                type_name=registration.type_name,
                name=registration.type_name,
                component=registration.component,
                options=cast("Any", registration.component.Options()),
                plugin=registration.plugin,
            )
            adapters.append((entry.name, cast("PredictionAdapter", self._start(entry))))
        return Adaptation(adapters, fixed=False)

    def _ledger(self, *, dry_run: bool) -> Ledger:
        rules = {
            strategy.entry.name: [
                LimitRule(period=limit.type, value=limit.value) for limit in strategy.limits
            ]
            for strategy in self._configuration.strategies
        }
        scope = self._configuration.name
        if dry_run or self._configuration.limits.ledger == "memory":
            return MemoryLedger(rules, scope=scope)
        return SqliteLedger(rules, scope=scope)

    def _spool(self, ledger: Ledger, sinks: Mapping[str, Sink]) -> Spool:
        model = self._configuration.spool
        spool = Spool(
            self._configuration.spool_dir,
            sinks=tuple(sinks),
            ledger=ledger,
            clock=self._clock,
            limits=SpoolLimits(
                max_bytes=model.max_bytes,
                max_items=model.max_items,
                min_free_bytes=model.min_free_bytes,
            ),
            max_batch_images=self._configuration.active_learning.batching_strategy.max_batch_images,
        )
        spool.open()
        self._stack.callback(spool.close)
        return spool

    def _delivery(self, spool: Spool, sinks: Mapping[str, Sink], rng: random.Random) -> Delivery:
        def delivered(sink: str, datapoint: Any, receipt: Any) -> None:
            self._host.notify(
                "al_datapoint_delivered", sink=sink, datapoint=datapoint, receipt=receipt
            )

        return Delivery(
            spool,
            {name: sink.deliver for name, sink in sinks.items()},
            clock=self._clock,
            rng=rng,
            on_delivered=delivered,
        )

    def _rules(self, environ: Mapping[str, str]) -> CollectionRules:
        configuration = self._configuration
        document = configuration.active_learning
        batching = document.batching_strategy
        zone = configuration.batch_time_zone
        tz = None if zone is None else ZoneInfo(zone)
        own = environment_tags(environ)
        by_strategy = {strategy.entry.name: strategy.tags for strategy in configuration.strategies}
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
                environment=own,
                configuration=document.tags,
                strategy=by_strategy[strategy],
                model_id=model_id,
                persist_predictions=document.persist_predictions,
            ),
            persist_predictions=document.persist_predictions,
        )


def _directory_name(entry: ComponentEntry) -> str:
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", entry.name)[:60]
    digest = hashlib.sha256(entry.name.encode()).hexdigest()[:8]
    return f"{entry.kind}-{entry.name if safe == entry.name else f'{safe}-{digest}'}"


def _reporter(tally: Tally, *, capped: bool = True) -> Callable[[str, BaseException | None], None]:
    """Return a reporter; many bad frames must not hide a strategy that is switched off."""

    def report(text: str, exc: BaseException | None) -> None:
        if tally.problem(text, capped=capped):
            logger.warning("%s", text, exc_info=exc)

    return report


def _close(component: Component[Any], who: str) -> None:
    try:
        component.close()
    except Exception:  # a plugin boundary: the others must be closed too
        logger.exception("%s could not be closed", who)
