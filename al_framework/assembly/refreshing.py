"""Ask a configuration provider again and again, and put what it answers in force.

On a thread of its own, a daemon: a server that never answers delays neither the start, nor a frame,
nor the end. Whatever goes wrong, the last document holds.
"""

import logging
import math
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

from al_framework.api import (
    AlFrameworkError,
    Clock,
    ConfigurationError,
    ConfigurationProvider,
    ProvidedConfiguration,
    Target,
)
from al_framework.api._faults import named_text_of, plugin_errors, text_of
from al_framework.assembly.keeping import Keeper
from al_framework.assembly.masking import Mask
from al_framework.assembly.planning import Planner
from al_framework.config.collection import Collection, hash_of, load_collection
from al_framework.config.roboflow_document import switched_off
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.engine import Engine
from al_framework.pipeline.forking import tell_after_fork

logger = logging.getLogger(__name__)

POLL_S = 0.5  # between looks at the clock
FIRST_RETRY_S = 1.0
MAX_RETRY_S = 900.0
MIN_REFRESH_S = 1.0
MAX_REFRESH_S = 86400.0
CLOSE_S = 1.0
MAX_TOLD = 20  # entries left out of one document
MAX_TEXT = 2000  # characters of one error; a document may have faults without number
SWITCHED_OFF = "the document of the server says so"


class Refresher:
    """Keeps an engine's plan up to date with a provider.

    Args:
        provider: Who is asked.
        name: Its name in the configuration.
        host: The plugins that documents are checked against.
        planner: Makes the plans.
        engine: Gets them.
        keeper: Keeps the last answer.
        clock: Time.
        configuration_hash: Hash of the user's file; a decision's hash covers the document, too.
        mask: Takes secrets out of messages.
        report: Told of what a person should know.

    Attributes:
        document_hash: Of the document in force; None while there is none.
        kept_at: UTC epoch seconds of the answer in force if an earlier run got it, else None.
        answered: Whether the provider has answered in this run, be it with a faulty document.
        skipped: How many unknown keys and strategies were left out of the document in force.
        trouble: What went wrong at the last time of asking; empty if nothing did.
    """

    def __init__(  # noqa: PLR0913 - what it stands between, keyword-only
        self,
        provider: ConfigurationProvider,
        *,
        name: str,
        host: PluginHost,
        planner: Planner,
        engine: Engine,
        keeper: Keeper,
        clock: Clock,
        configuration_hash: str,
        mask: Mask,
        report: Callable[[str, BaseException | None], None],
    ) -> None:
        self.name = name
        self.document_hash: str | None = None
        self.kept_at: float | None = None
        self.answered = False
        self.skipped = 0
        self.trouble = ""
        self._who = f"configuration provider {name!r}"
        self._provider = provider
        self._host = host
        self._planner = planner
        self._engine = engine
        self._keeper = keeper
        self._clock = clock
        self._configuration_hash = configuration_hash
        self._masked = mask
        self._report = report
        self._in_force: tuple[str, Target, str] | None = None
        # Of a kept document only once the server has said the same: it may have changed.
        self._untold: tuple[str, ...] = ()
        self._refresh_after_s = MAX_RETRY_S
        self._failures = 0
        self._attempted = False
        self._closing = threading.Event()
        self._thread = self._new_thread()
        tell_after_fork(self)

    @property
    def settled(self) -> bool:
        """Whether there was an answer, or an attempt while a kept one holds."""
        return self.answered or (self._attempted and self._engine.plan is not None)

    def restore(self) -> None:
        """Put in force what an earlier run was told last; touches the disk and no network."""
        kept = self._keeper.read()
        if kept is None:
            return
        try:
            self._put_in_force(kept.provided)
        except plugin_errors() as exc:  # a plugin boundary: without it we wait, as on the first day
            self._report(f"{self._who}: the kept document is of no use: {self._said(exc)}", None)
            return
        self.kept_at = kept.at
        logger.info("%s: until it answers, its answer of %s holds", self._who, _moment(kept.at))

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def refresh(self) -> float:
        """Ask once and put the answer in force; return the seconds until the next time."""
        self._planner.tidy()
        try:
            provided = self._fetch()
        except plugin_errors() as exc:  # a plugin boundary: the last document holds
            return self._failed(exc)
        try:
            self._put_in_force(provided)
        except ConfigurationError as exc:  # asking again at once would bring the same
            self._failed(exc)
            self.answered = True
            return self._refresh_after_s
        except plugin_errors() as exc:  # a plugin boundary: a strategy that does not start
            return self._failed(exc)
        if self.trouble:
            logger.info("%s: answers again", self._who)
        for text in self._untold:
            self._report(f"{self._who}: {text}", None)
        self._untold = ()
        self.trouble, self._failures, self.kept_at = "", 0, None
        self._attempted = self.answered = True
        if not self._closing.is_set():
            self._keeper.write(provided, self._clock.time())
        return self._refresh_after_s

    def close(self) -> None:
        """Stop asking; a question that hangs is left to itself."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._planner.close()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S)

    def after_fork(self) -> None:
        """Ask for oneself in the child of a fork."""
        started = self._thread.ident is not None and not self._closing.is_set()
        self._closing = threading.Event()
        self._planner.after_fork()
        self._thread = self._new_thread()
        if started:
            self._thread.start()

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(
            target=self._work, args=(self._closing,), name="al-configuration", daemon=True
        )

    def _work(self, closing: threading.Event) -> None:
        while not closing.is_set():
            due = self.refresh() + self._clock.monotonic()
            while self._clock.monotonic() < due:
                if closing.wait(POLL_S):
                    return

    def _fetch(self) -> ProvidedConfiguration:
        provided = self._provider.fetch()
        if not isinstance(provided, ProvidedConfiguration):
            kind = type(provided).__name__
            raise TypeError(f"fetch returned a {kind}: return a ProvidedConfiguration")
        reason: object = provided.reason
        target: object = provided.target
        if not (isinstance(reason, str) and isinstance(target, Target)):
            raise TypeError(
                "fetch returned a reason that is no text, or a target that is no Target"
            )
        self._refresh_after_s = _between(provided.refresh_after_s, MIN_REFRESH_S, MAX_REFRESH_S)
        return provided

    def _put_in_force(self, provided: ProvidedConfiguration) -> None:
        collection, off = self._collection(provided)
        key = (collection.document_hash, provided.target, off)
        if key == self._in_force:
            return
        plan = self._planner.plan(
            collection,
            configuration_hash=hash_of([self._configuration_hash, collection.document_hash]),
            provided=provided.target,
            off=off,
        )
        if plan is None:
            return
        before, self._in_force = self.document_hash, key
        self.document_hash = collection.document_hash
        self.skipped = len(collection.skipped)
        self._engine.plan = plan
        logger.info(
            "%s: document %s → %s, decisions are marked %s",
            self._who,
            before or "none",
            collection.document_hash,
            plan.configuration_hash,
        )
        self._untold = tuple(str(fault) for fault in collection.skipped[:MAX_TOLD])
        if self.skipped > MAX_TOLD:
            self._untold += (f"{self.skipped - MAX_TOLD} more of its entries are left out",)
        if provided.document is None:
            self._untold = (f"collection is off: {off}",)

    def _collection(self, provided: ProvidedConfiguration) -> tuple[Collection, str]:
        if provided.document is None:
            off = self._masked(provided.reason) or "there is no document"
            nothing = Collection(
                active_learning=switched_off(), strategies=(), document_hash=hash_of(None)
            )
            return nothing, off
        origin = f"the document of {self._who}"
        found = load_collection(provided.document, self._host, lenient=True, origin=origin)
        return found, "" if found.active_learning.enabled else SWITCHED_OFF

    def _failed(self, exc: BaseException) -> float:
        """Say what went wrong, if it is anything new; return the seconds until the next try."""
        text = self._said(exc)
        if text != self.trouble:
            nothing = "there is no document yet, so frames are dropped as 'no_configuration'"
            holds = nothing if self._engine.plan is None else "the last document holds"
            self._report(f"{self._who}: {text}; {holds}", None)
            detail = "".join(traceback.format_exception(exc))
            logger.debug("%s", self._masked(detail))
        self.trouble = text
        self._attempted = True
        longest_s = min(self._refresh_after_s, MAX_RETRY_S)
        delay_s = min(FIRST_RETRY_S * 2.0 ** min(self._failures, 16), longest_s)
        self._failures += 1
        asked_s = getattr(exc, "retry_after_s", None)
        if isinstance(asked_s, int | float):
            delay_s = max(delay_s, _between(asked_s, 0.0, MAX_REFRESH_S))
        return delay_s

    def _said(self, exc: BaseException) -> str:
        known = isinstance(exc, AlFrameworkError | OSError)
        text = self._masked(text_of(exc) if known else named_text_of(exc))
        rest = len(text) - MAX_TEXT
        return text if rest <= 0 else f"{text[:MAX_TEXT]}… ({rest} more characters)"


def _between(value: float, low: float, high: float) -> float:
    value = float(value)
    return high if math.isnan(value) else min(max(value, low), high)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(" ", "seconds")
