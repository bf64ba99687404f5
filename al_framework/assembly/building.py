"""Build and start what a configuration names, and join the stages."""

import logging
import os
import random
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, TypeAlias, cast

from al_framework.api import (
    Clock,
    ConfigurationProvider,
    PredictionAdapter,
    RunInfo,
    Sink,
    Target,
)
from al_framework.api._faults import named_text_of, plugin_errors
from al_framework.assembly.guarding import Guarded, guarded, guarded_delivery
from al_framework.assembly.keeping import Keeper
from al_framework.assembly.lifetime import Assembly
from al_framework.assembly.log_masking import LogMask
from al_framework.assembly.masking import Mask
from al_framework.assembly.planning import Planner
from al_framework.assembly.refreshing import Refresher
from al_framework.assembly.starting import Starter
from al_framework.config.collection import Collection
from al_framework.config.models import ComponentEntry, Configuration
from al_framework.config.secrets import secret_values
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.adaptation import Adaptation
from al_framework.pipeline.clock import SteadyClock
from al_framework.pipeline.delivery import Delivery, Pace, RetryRules
from al_framework.pipeline.dry_run import DryRun
from al_framework.pipeline.engine import Engine
from al_framework.pipeline.identity import Names
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.redis import RedisLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.recent import RecentImages
from al_framework.pipeline.runner import BoundSource
from al_framework.pipeline.spool import Spool, SpoolLimits
from al_framework.pipeline.tagging import environment_tags
from al_framework.pipeline.tally import Tally

logger = logging.getLogger(__name__)

Reporter: TypeAlias = Callable[[str, BaseException | None], None]


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
        self._mask = Mask(_secrets(configuration))
        logs = LogMask(self._mask)
        stack.callback(logs.close)  # the last thing to go: what closes may log
        self._starter = Starter(
            clock,
            base_dir=configuration.base_dir,
            state_root=configuration.spool_dir / "state",
            mask=self._mask,
            logs=logs,
        )

    def assemble(
        self,
        rng: random.Random,
        *,
        environ: Mapping[str, str] | None,
        with_sources: bool,
        dry_run: bool,
        recent: RecentImages | None,
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
        tally = Tally(())
        report = _reporter(tally, self._mask)
        # Sources first: a mistyped path should be found before anything is created.
        sources = configuration.sources if with_sources else ()
        bound = tuple(
            BoundSource(name=entry.name, source=self._guarded(self._start(entry)))
            for entry in sources
        )
        adaptation = self._adaptation()
        predictor = self._guarded(self._start(configuration.predictor)) if with_sources else None
        ledger = self._ledger(report, dry_run=dry_run)
        planner = Planner(
            configuration,
            starter=self._starter,
            stack=self._stack,
            ledger=ledger,
            tally=tally,
            seed=seed,
            report=_reporter(tally, self._mask, capped=False),
            # In no variable of this frame, which some tracebacks print: it holds secrets.
            environment_tags=environment_tags(os.environ if environ is None else environ),
            sources=[entry.name for entry in sources],
        )
        collection = _collection(configuration)
        if collection is not None:
            planner.start(collection)
        sinks: dict[str, Sink] = {}
        spool: Spool | None = None
        delivery: Delivery | None = None
        if not dry_run:
            sinks = {entry.name: self._start(entry) for entry in configuration.sinks}
            planner.sink_target = _first_target(sinks, report)
            spool = self._spool(ledger, sinks)
            delivery = self._delivery(spool, sinks, rng)
        engine = Engine(
            plan=None,
            adaptation=adaptation,
            ledger=ledger,
            acceptor=DryRun(ledger) if spool is None else spool,
            tally=tally,
            clock=self._clock,
            names=names,
            report=report,
            recent=recent,
        )
        if collection is not None:
            digest = configuration.configuration_hash
            engine.plan = planner.plan(collection, configuration_hash=digest)
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
            refresher=self._refresher(planner, engine, dry_run=dry_run),
            stack=self._stack,
        )

    def _start(self, entry: ComponentEntry | None) -> Any:
        return self._starter.start(entry, self._stack)

    def _guarded(self, component: Any) -> Any:
        return Guarded(component, self._mask) if component is not None and self._mask else component

    def _refresher(self, planner: Planner, engine: Engine, *, dry_run: bool) -> Refresher | None:
        entry = self._configuration.provider
        if entry is None:
            return None
        provider: ConfigurationProvider = self._start(entry)
        keeper = Keeper(
            self._starter.state_dir(entry),
            _identity(provider, entry),
            mask=self._mask,
            read_only=dry_run,
        )
        refresher = Refresher(
            provider,
            name=entry.name,
            host=self._host,
            planner=planner,
            engine=engine,
            keeper=keeper,
            clock=self._clock,
            configuration_hash=self._configuration.configuration_hash,
            mask=self._mask,
            report=_reporter(engine.tally, self._mask, capped=False),
        )
        self._stack.callback(refresher.close)
        refresher.restore()
        return refresher

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

    def _ledger(self, report: Reporter, *, dry_run: bool) -> Ledger:
        name, limits = self._configuration.name, self._configuration.limits
        if dry_run or limits.ledger == "memory":
            return MemoryLedger({}, scope=name)
        if limits.ledger == "redis" and limits.redis_url is not None:  # a checked one has both
            url = limits.redis_url.get_secret_value()
            return RedisLedger({}, scope=name, url=url, clock=self._clock)
        clock = self._clock
        return SqliteLedger(
            {},
            scope=name,
            owner=name,
            report=lambda text: report(text, None),
            not_before=clock.not_before if isinstance(clock, SteadyClock) else None,
        )

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
                when_full=model.when_full,
                max_age_s=model.max_age_s,
                ballast_bytes=model.ballast_bytes,
                dead_max_bytes=model.dead_max_bytes,
                dead_max_age_s=model.dead_max_age_s,
                allow_network_disk=model.allow_network_disk,
            ),
        )
        spool.open()
        self._stack.callback(spool.close)
        return spool

    def _delivery(self, spool: Spool, sinks: Mapping[str, Sink], rng: random.Random) -> Delivery:
        def delivered(sink: str, datapoint: Any, receipt: Any) -> None:
            self._host.notify(
                "al_datapoint_delivered", sink=sink, datapoint=datapoint, receipt=receipt
            )

        model = self._configuration.delivery
        return Delivery(
            spool,
            {name: guarded_delivery(sink.deliver, self._mask) for name, sink in sinks.items()},
            clock=self._clock,
            workers=model.workers,
            rules=RetryRules(max_attempts=model.max_attempts, max_age_s=model.max_age_s),
            paces={
                entry.name: Pace(per_s=entry.pace.per_s, burst=entry.pace.burst)
                for entry in self._configuration.sinks
                if entry.pace is not None
            },
            rng=rng,
            on_delivered=delivered,
            batch_sizes={
                name: guarded(sink.batch_size, self._mask)
                for name, sink in sinks.items()
                if type(sink).batch_size is not Sink.batch_size  # the others cannot tell
            },
        )


def _secrets(configuration: Configuration) -> tuple[str, ...]:
    """Return every secret of a configuration; a component may come by another one's."""
    entries = [*configuration.sources, *configuration.sinks]
    entries += [entry for entry in (configuration.predictor, configuration.adapter) if entry]
    entries += [entry for entry in (configuration.provider,) if entry]
    entries += [strategy.entry for strategy in configuration.strategies]
    models = [*(entry.options for entry in entries), configuration.limits]
    return tuple(secret for model in models for secret in secret_values(model))


def _collection(configuration: Configuration) -> Collection | None:
    document = configuration.active_learning
    if document is None:
        return None
    return Collection(
        active_learning=document,
        strategies=configuration.strategies,
        document_hash=configuration.configuration_hash,
    )


def _first_target(sinks: Mapping[str, Sink], report: Reporter) -> Target:
    """Return where the first sink delivers to that knows it."""
    for name, sink in sinks.items():
        try:
            target = sink.target
        except plugin_errors() as exc:  # a plugin boundary
            # Limits are then counted by the configuration's name.
            report(f"sink {name!r}: its target cannot be told: {named_text_of(exc)}", exc)
            continue
        if target:
            return target
    return Target()


def _identity(provider: ConfigurationProvider, entry: ComponentEntry) -> str:
    try:
        identity: object = provider.identity
        if not isinstance(identity, str):
            raise TypeError("identity is no text")
    except plugin_errors() as exc:  # a plugin boundary: it only means that nothing is kept
        # Not its text: that may hold the key which an identity is made from.
        text = "configuration provider %r: its identity fails with %s, so no document is kept"
        logger.warning(text, entry.name, type(exc).__name__)
        return ""
    return identity


def _reporter(tally: Tally, mask: Mask, *, capped: bool = True) -> Reporter:
    """Return a reporter; many bad frames must not hide a strategy that is switched off."""

    def report(text: str, exc: BaseException | None) -> None:
        text = mask(text)
        if tally.problem(text, capped=capped) or not capped:
            logger.warning("%s", text, exc_info=exc)

    return report
