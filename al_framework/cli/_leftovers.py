"""What earlier runs have left and nobody will take care of by himself."""

from collections.abc import Iterator

from al_framework.api import AlFrameworkError, SinkHealth
from al_framework.assembly import Assembly
from al_framework.assembly.health import spool_sinks
from al_framework.cli._wording import counted, spent_limits
from al_framework.pipeline.spool.stranded import stranded_beside


def leftovers(assembly: Assembly, *, option: str) -> list[str]:
    """Return a line for everything that waits for a person, or for a configuration of the past.

    Args:
        assembly: A run, its spool still open.
        option: What leads another command to its spool.
    """
    spool = assembly.spool
    if spool is None:
        return []
    try:
        sinks = spool_sinks(spool, now=assembly.clock.time())
        spent_until = spool.health().limits_spent_until
    except AlFrameworkError:  # the run itself has said what is wrong with its spool
        return []
    lines = [
        line for name, one in sinks.items() for line in _of_sink(name, one, spool.sinks, option)
    ]
    terms = assembly.engine.ledger.terms
    if spent_until is not None and any(terms.rules[name] for name in terms.named):
        lines.append(f"spool '{spool.directory}': {spent_limits(spent_until)}")
    for stranded in stranded_beside(spool.directory):
        waiting = _waiting(stranded.waiting)
        lines.append(
            f"spool '{stranded.directory}': {waiting} there and nobody delivers: run its"
            f" configuration again, or see al spool status --spool '{stranded.directory}'"
        )
    return lines


def _of_sink(name: str, one: SinkHealth, configured: tuple[str, ...], option: str) -> Iterator[str]:
    if one.dead:
        are = "lies" if one.dead == 1 else "lie"
        yield f"sink {name!r}: {counted(one.dead, 'dead letter')} {are} here: al dead list {option}"
    if one.pending and name not in configured:
        yield (
            f"sink {name!r}: {_waiting(one.pending)} for it, and it is not configured any more:"
            " configure it again to have them delivered"
        )


def _waiting(number: int) -> str:
    return f"{counted(number, 'datapoint')} {'waits' if number == 1 else 'wait'}"
