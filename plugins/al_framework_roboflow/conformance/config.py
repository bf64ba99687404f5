"""Cases of `config`: an Active Learning document, and whether and how it is understood.

Roboflow reads a document that it has fetched and one that stands in a request by two sets of rules,
which differ in what `enabled` may be; so do we, and further in what is not known here.
"""

import functools
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from al_framework.testing.documents import ActiveLearningReader, ReadDocument

REFUSED: Final = "refused-by-validation"
UNKNOWN_STRATEGY: Final = "unknown-strategy-left-out"
NULL_TARGET: Final = "null-target-is-none"

DEVIATIONS: Final[Mapping[str, str]] = {
    REFUSED: "the document breaks what Roboflow's documentation promises, and is refused with the "
    "place; Roboflow accepts it, or finds out later (D26)",
    UNKNOWN_STRATEGY: "a strategy of a type that is not known here is left out of a fetched "
    "document as a whole; Roboflow still reads its limits and tags, and may fail on them",
    NULL_TARGET: "null or no text as target_workspace or target_project is as good as leaving it "
    "out; Roboflow then has no target at all",
}

# What the recordings were made with; the documents do not say it.
_WORKSPACE: Final = "my_workspace"
_DATASET: Final = "coin-detection"
_MODEL: Final = "coin-detection/3"

Case: TypeAlias = Mapping[str, Any]
Verdict: TypeAlias = dict[str, Any]


def answer(case: Case) -> dict[str, Verdict]:
    """Return our verdicts on a document, in place only where it differs from the remote one.

    Args:
        case: ``config``, the document.
    """
    remote, in_place = _verdict(case, fetched=True), _verdict(case, fetched=False)
    return {"remote": remote} | ({} if remote == in_place else {"inplace": in_place})


def comparable(expected: Mapping[str, Any]) -> dict[str, Verdict]:
    """Return a recorded answer as `answer` would give it, without the names of error classes."""
    verdicts = {}
    for name in ("remote", "inplace"):
        if name in expected:
            verdict = expected[name]
            verdicts[name] = {key: verdict[key] for key in ("outcome", "summary") if key in verdict}
    if verdicts.get("inplace") == verdicts["remote"]:
        del verdicts["inplace"]
    return verdicts


def refusals(case: Case) -> tuple[str, ...]:
    """Return the places for which the document is refused as the user's own; none if it is not."""
    found = _reader().read(case["config"], fetched=False)
    return () if isinstance(found, ReadDocument) else tuple(fault.path for fault in found)


def deviation(case: Case) -> str | None:
    """Return the name of the rule by which our answer may differ, a key of `DEVIATIONS`."""
    document = case["config"]
    fetched = _reader().read(document, fetched=True)
    if not isinstance(fetched, ReadDocument):
        return REFUSED
    if any("there is no strategy type" in fault.message for fault in fetched.skipped):
        return UNKNOWN_STRATEGY
    if refusals(case):
        return REFUSED
    keys = ("target_workspace", "target_project")
    written_as_null = any(document.get(key, "some") in {None, ""} for key in keys)
    return NULL_TARGET if fetched.enabled and written_as_null else None


@functools.cache  # finding the plugins anew for each of a thousand cases takes a minute
def _reader() -> ActiveLearningReader:
    return ActiveLearningReader()


def _verdict(case: Case, *, fetched: bool) -> Verdict:
    found = _reader().read(case["config"], fetched=fetched)
    if not isinstance(found, ReadDocument):
        return {"outcome": "error"}
    if not found.enabled:
        return {"outcome": "disabled"}
    size, limits = found.max_image_size, found.strategy_limits
    summary = {
        "max_image_size": None if size is None else list(size),
        "jpeg_compression_level": found.jpeg_quality,
        "persist_predictions": found.persist_predictions,
        "sampling_methods": list(found.strategies),
        "batches_name_prefix": found.batches_name_prefix,
        "recreation_interval": found.recreation_interval,
        "max_batch_images": found.max_batch_images,
        "workspace_id": found.target.workspace or _WORKSPACE,
        "dataset_id": found.target.project or _DATASET,
        "model_id": _MODEL,
        "tags": list(found.tags),
        "strategies_limits": {name: [list(one) for one in each] for name, each in limits.items()},
        "strategies_tags": {name: list(tags) for name, tags in found.strategy_tags.items()},
    }
    return {"outcome": "ok", "summary": summary}
