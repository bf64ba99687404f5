"""The composition root: configuration + plugins → a running engine.

The only module that knows both plugins and frames. It builds one object per configuration entry,
starts them in order, wires the stages, and takes everything down again in reverse.
"""

import hashlib
import json
import logging
import os
import random
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from al_framework.api import (
    AlFrameworkError,
    Clock,
    Component,
    ComponentError,
    Context,
    Counts,
    PredictionAdapter,
    Predictor,
    RunInfo,
    RunSummary,
    Sink,
    Strategy,
)
from al_framework.config.loading import load_configuration, plugin_switches, read_document
from al_framework.config.models import ComponentEntry, Configuration, StrategyEntry
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.adaptation import Adaptation
from al_framework.pipeline.batching import batch_name
from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.delivery import Delivery
from al_framework.pipeline.dry_run import DryRun
from al_framework.pipeline.encoding import EncodingRules
from al_framework.pipeline.engine import CollectionRules, Engine
from al_framework.pipeline.identity import Names
from al_framework.pipeline.limits.base import Ledger, LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.runner import BoundSource, Runner
from al_framework.pipeline.sampling import Sampler, StrategySlot
from al_framework.pipeline.spool import Spool, SpoolLimits
from al_framework.pipeline.tagging import compose_tags, environment_tags
from al_framework.pipeline.tally import Tally

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Assembly:
    """Everything that lives as long as a run.

    Attributes:
        configuration: What the user wrote.
        host: The plugins.
        clock: Time.
        run: The run's name and seed.
        engine: The stages.
        sources: Started sources; empty for library use.
        predictor: The started model, or None.
        sinks: Started sinks by name; empty in a dry run.
        spool: The spool; None in a dry run.
        delivery: The delivery workers; None in a dry run.
    """

    configuration: Configuration
    host: PluginHost
    clock: Clock
    run: RunInfo
    engine: Engine
    sources: tuple[BoundSource, ...]
    predictor: Predictor | None
    sinks: Mapping[str, Sink]
    spool: Spool | None
    delivery: Delivery | None
    stack: ExitStack

    def counts(self) -> Counts:
        """Return where every offered frame is by now."""
        sinks = {} if self.delivery is None else self.delivery.counts()
        return self.engine.tally.counts(sinks)

    def runner(self, *, again: bool, wait_for_room: Callable[[], bool]) -> Runner:
        """Return the loop that drives the sources.

        Args:
            again: Offer frames that an earlier run has dealt with, too.
            wait_for_room: Called when the spool is full; tells whether room may have appeared.
        """
        spool = self.spool
        return Runner(
            engine=self.engine,
            predictor=self.predictor,
            seen=(lambda _: False) if again or spool is None else spool.seen,
            wait_for_room=wait_for_room,
            clock=self.clock,
        )

    def finish(self, *, deadline_s: float, interrupted: bool = False) -> RunSummary:
        """Deliver until the deadline, tell everybody how it went, and close every component."""
        if self.delivery is not None:
            deadline = self.clock.monotonic() + deadline_s
            self.delivery.drain(deadline_s)
            self.delivery.close(max(0.0, deadline - self.clock.monotonic()))
        if self.spool is not None:  # a dry run leaves nothing behind
            for slot in self.engine.sampler.slots:
                for source, strategy in slot.instances().items():
                    _save_state(strategy, source)
        summary = RunSummary(
            run=self.run,
            finished_at=self.clock.time(),
            counts=self.counts(),
            problems=(*self.host.problems, *self.engine.tally.problems()),
            interrupted=interrupted,
        )
        for name, sink in self.sinks.items():
            try:
                sink.finish_run(summary)
            except Exception as exc:  # a plugin boundary: what was delivered is safe already
                known = isinstance(exc, AlFrameworkError | OSError)
                text = "sink %r could not finish the run: %s"
                logger.log(logging.ERROR, text, name, exc, exc_info=not known)
        self.host.notify("al_run_finished", summary=summary)
        self.stack.close()
        return summary


def assemble_from(config: str | Path | Mapping[str, object]) -> Assembly:
    """Read a configuration, find the plugins, and assemble them for library use.

    Raises:
        ConfigurationError: The configuration has faults; all of them are listed.
        PluginError: A plugin that the configuration requires is missing.
        ComponentError: A component could not be started.
        SpoolError: The spool directory cannot be used.
    """
    document = read_document(config)
    switches = plugin_switches(document)
    host = PluginHost.discover(
        only=switches.only, disable=switches.disable, require=switches.require
    )
    configuration = load_configuration(document, host, environ=os.environ)
    return assemble(configuration, host)


def assemble(  # noqa: PLR0913 - the root is where everything that can be replaced comes in
    configuration: Configuration,
    host: PluginHost,
    *,
    with_sources: bool = False,
    dry_run: bool = False,
    clock: Clock | None = None,
    rng: random.Random | None = None,
    environ: Mapping[str, str] | None = None,
) -> Assembly:
    """Build and start everything a configuration names.

    Args:
        configuration: What the user wrote, checked.
        host: The plugins.
        with_sources: Start sources and predictor too, as `al run` needs them.
        dry_run: Write nothing: no spool, no sinks.
        clock: Time; the system's by default.
        rng: Chance for names, for the seed where none is fixed, and for back-off.
        environ: The environment; the process's by default.

    Raises:
        ComponentError: A component could not be started; those before it are closed again.
        SpoolError: The spool directory cannot be used.
    """
    clock = clock if clock is not None else SystemClock()
    rng = rng if rng is not None else random.SystemRandom()
    environ = environ if environ is not None else os.environ
    # One stack for good: a stateful strategy enters it late, with the first frame of its source.
    stack = ExitStack()
    try:
        builder = _Builder(configuration, host, clock, stack)
        assembly = builder.assemble(rng, environ, with_sources=with_sources, dry_run=dry_run)
    except BaseException:
        stack.close()
        raise
    host.notify("al_run_started", run=assembly.run)
    if assembly.delivery is not None:
        assembly.delivery.start()
    return assembly


class _Builder:
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
        adaptation = self._adaptation()
        predictor = self._start(configuration.predictor) if with_sources else None
        slots = [self._slot(strategy, tally) for strategy in configuration.strategies]
        sampler = Sampler(slots, seed=seed, report=report)
        ledger = self._ledger(dry_run=dry_run)
        sinks: dict[str, Sink] = {}
        spool: Spool | None = None
        delivery: Delivery | None = None
        if not dry_run:
            sinks = {entry.name: self._start(entry) for entry in configuration.sinks}
            spool = self._spool(ledger, sinks)
            delivery = self._delivery(spool, sinks, rng)
        sources = configuration.sources if with_sources else ()
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
            sources=tuple(BoundSource(name=e.name, source=self._start(e)) for e in sources),
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
        except Exception as exc:  # a plugin boundary: half a configuration collects the wrong data
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
            _load_state(built, source)
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


def _reporter(tally: Tally) -> Callable[[str, BaseException | None], None]:
    def report(text: str, exc: BaseException | None) -> None:
        if tally.problem(text):
            logger.warning("%s", text, exc_info=exc)

    return report


def _close(component: Component[Any], who: str) -> None:
    try:
        component.close()
    except Exception:  # a plugin boundary: the others must be closed too
        logger.exception("%s could not be closed", who)


def _state_file(strategy: Strategy, source: str) -> Path:
    return strategy.context.state_dir / f"{source.encode().hex() or 'submitted'}.json"


def _load_state(strategy: Strategy, source: str) -> None:
    path = _state_file(strategy, source)
    if not strategy.stateful or not path.is_file():
        return
    try:
        state = json.loads(path.read_text())
    except (OSError, ValueError) as exc:  # torn by a power cut, say
        name = strategy.context.name
        logger.warning("the state of strategy %r cannot be read (%s): it begins anew", name, exc)
        return
    strategy.load_state_dict(state)


def _save_state(strategy: Strategy, source: str) -> None:
    if not strategy.stateful:
        return
    path = _state_file(strategy, source)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(strategy.state_dict()))
        partial.replace(path)
    except Exception:  # a plugin boundary: the state is a convenience, the run is over
        logger.exception("the state of strategy %r could not be kept", strategy.context.name)
