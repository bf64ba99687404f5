"""Cases of `batch_accounting`: a batch, its limit, what the server says, and if one more goes in.

The answer is the one of a spool that holds nothing of its own: what it has accepted itself counts
on top, which no recorded case shows.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from al_framework.testing.rules import has_batch_room
from al_framework_roboflow.batches import (
    Batch,
    Job,
    UncountableBatchError,
    batch_images,
    find_batch,
)
from al_framework_roboflow.conformance.strategies import Refusal
from al_framework_roboflow.replies import UnreadableReplyError, read_batches, read_jobs

REFUSED: Final = "refused-by-validation"
EXACT_ID: Final = "exact-batch-id"
UNREADABLE: Final = "unreadable-reply"

DEVIATIONS: Final[Mapping[str, str]] = {
    REFUSED: "max_batch_images is not a whole number above zero (D26)",
    EXACT_ID: "a labelling job belongs to the batch whose id it names; Roboflow counts every job "
    "whose source contains the id as text, those of 'b12' for 'b1' (D20)",
    UNREADABLE: "the server leaves out, or writes strangely, what is needed to count, or what "
    "Roboflow alone needs; Roboflow then loses the picture with a KeyError or TypeError, we go by "
    "the last count and our own pictures where we cannot count",
}

_LIMIT: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(gt=0)])
Case: TypeAlias = Mapping[str, Any]


def answer(case: Case) -> dict[str, Any] | Refusal:
    """Return whether a picture may go in, and what the server was asked for.

    Args:
        case: ``batch_name``, ``max_batch_images``, and the replies ``batches`` and ``jobs``.
    """
    limit = _limit(case)
    if isinstance(limit, Refusal):
        return limit
    if limit is None:
        return {"may_submit": True, "calls": []}
    calls: list[str] = []
    try:
        images = _count(case, calls)
    except (UncountableBatchError, UnreadableReplyError):
        images = 0
    return {"may_submit": has_batch_room(images, limit), "calls": calls}


def deviation(case: Case) -> str | None:
    """Return the name of the rule by which our answer may differ, a key of `DEVIATIONS`."""
    limit = _limit(case)
    if isinstance(limit, Refusal):
        return REFUSED
    if limit is None:
        return None
    theirs, ours = _as_roboflow_counts(case), _readable_count(case)
    if "may_submit" not in theirs or ours is None:
        return UNREADABLE
    return None if has_batch_room(ours, limit) == theirs["may_submit"] else EXACT_ID


def follows(name: str, case: Case, given: dict[str, Any] | Refusal) -> bool:
    """Tell whether an answer is the one that a deviation demands."""
    if name == REFUSED or isinstance(given, Refusal):
        return name == REFUSED and isinstance(given, Refusal) and bool(given.place)
    if name == UNREADABLE and _readable_count(case) is not None:
        return True  # what stops Roboflow is not needed here
    return given["may_submit"] is True


def explains(name: str, case: Case, expected: Mapping[str, Any]) -> bool:
    """Tell whether a recorded answer is what a deviation says of Roboflow."""
    theirs = {key: value for key, value in expected.items() if key != "error"}
    return name == REFUSED or theirs == _as_roboflow_counts(case)


def _readable_count(case: Case) -> int | None:
    try:
        return _count(case, [])
    except (UncountableBatchError, UnreadableReplyError):
        return None


def _as_roboflow_counts(case: Case) -> dict[str, Any]:
    """Return Roboflow's answer, without a decision where it fails: ids are compared as text."""
    calls, under_labelling = ["batches"], 0
    try:
        batches = case["batches"]["batches"]
        batch = next((one for one in batches if one["name"] == case["batch_name"]), None)
        if batch is None:
            return {"may_submit": case["max_batch_images"] > 0, "calls": calls}
        if batch["numJobs"] > 0:
            calls.append("jobs")
            jobs, batch_id = case["jobs"]["jobs"], batch["id"]
            under_labelling = sum(
                one["numImages"] for one in jobs if batch_id in one["sourceBatch"]
            )
        room = case["max_batch_images"] > batch["images"] + under_labelling
    except (KeyError, TypeError):
        return {"calls": calls}
    return {"may_submit": room, "calls": calls}


def _count(case: Case, calls: list[str]) -> int:
    """Count as the sink does, and note each request."""
    calls.append("batches")
    batches = _batches(case)
    batch = find_batch(batches, case["batch_name"])
    if batch is None or not batch.has_jobs:
        return batch_images(batches, (), case["batch_name"]) or 0
    calls.append("jobs")
    return batch_images(batches, _jobs(case), case["batch_name"]) or 0


def _limit(case: Case) -> int | Refusal | None:
    """Return the limit as the loader reads it: strictly, as JSON."""
    given = case["max_batch_images"]
    if given is None:
        return None
    whole = int(given) if isinstance(given, float) and given.is_integer() else given
    try:
        return _LIMIT.validate_json(json.dumps(whole), strict=True)
    except ValidationError as exc:
        return Refusal(place="max_batch_images", message=exc.errors(include_url=False)[0]["msg"])


def _batches(case: Case) -> tuple[Batch, ...]:
    return read_batches(_object(case["batches"]))


def _jobs(case: Case) -> tuple[Job, ...]:
    return read_jobs(_object(case["jobs"]))


def _object(reply: Any) -> Mapping[str, Any]:
    if not isinstance(reply, Mapping):  # the client says so before it reads the rest
        raise UnreadableReplyError(f"no object but {type(reply).__name__}")
    return reply
