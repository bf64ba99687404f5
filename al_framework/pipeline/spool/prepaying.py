"""Asking a ledger that lives elsewhere, before the spool's lock is taken and after it is free.

Such a ledger may be a server that takes half a second to say no, and nobody else should wait for
that. So credits are taken for the whole group first, and those that turn out to be in vain are
given back afterwards. A process that is killed in between has taken some credits for nothing: there
are fewer pictures than there could be, never more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from al_framework.pipeline.limits.base import Ledger, LedgerUnavailableError, Reservation
from al_framework.pipeline.spool.ending import Ending
from al_framework.pipeline.spool.records import Acceptance, Candidate, SeenFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepaid:
    """What the ledger has answered for one candidate.

    Attributes:
        reservation: The credit; None if there was none.
        is_known: Whether it has answered at all.
    """

    reservation: Reservation | None
    is_known: bool = True


def prepay(ledger: Ledger, entries: Iterable[Candidate | SeenFrame]) -> Mapping[str, Prepaid]:
    """Take credits for a group, by token; nothing for a ledger that is part of the transaction."""
    if ledger.transactional:
        return {}
    prepaid: dict[str, Prepaid] = {}
    try:
        for entry in entries:
            if isinstance(entry, Candidate):
                prepaid[entry.item_id] = _ask(ledger, entry)
    except BaseException:
        refund(ledger, prepaid)
        raise
    return prepaid


def refund(
    ledger: Ledger, prepaid: Mapping[str, Prepaid], answers: Sequence[Acceptance] = ()
) -> None:
    """Give back the credits of those that were not accepted."""
    kept = {answer.item_id for answer in answers if answer.status == "accepted"}
    tokens = [t for t, paid in prepaid.items() if paid.reservation is not None and t not in kept]
    Ending(tokens=tokens).settle(ledger)


def _ask(ledger: Ledger, candidate: Candidate) -> Prepaid:
    try:
        reservation = ledger.reserve(
            candidate.matching, candidate.item_id, candidate.decided_at, None
        )
    except LedgerUnavailableError:
        return Prepaid(reservation=None, is_known=False)
    return Prepaid(reservation=reservation)
