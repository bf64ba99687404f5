"""Pending, EncodedFrame → Candidate: a datapoint but for the strategy that pays for it."""

import json
from collections.abc import Mapping
from dataclasses import replace

from al_framework.api import Datapoint, Decision, FrameKey, PredictionError, Unlabelled
from al_framework.api.codec import datapoint_to_dict
from al_framework.pipeline.encoding import EncodedFrame
from al_framework.pipeline.offers import Pending
from al_framework.pipeline.plan import CollectionRules
from al_framework.pipeline.spool import Candidate

_MAX_METADATA_BYTES = 16 * 1024 * 1024


def compose_candidate(
    pending: Pending, encoded: EncodedFrame, decision: Decision, *, item_id: str
) -> Candidate:
    """Return what the spool needs to take a frame in.

    Raises:
        PredictionError: JSON cannot express its metadata, or they are too large to store.
    """
    rules = pending.plan.rules
    batch_name = rules.batch_name(pending.decided_at)
    frame, prediction = pending.frame, encoded.prediction
    # A document of a task that we do not read is passed on as it is.
    said = not isinstance(prediction, Unlabelled) or isinstance(prediction.document, Mapping)
    persisted = rules.persist_predictions and said

    # It holds no frame: the pixels are many times the JPEG, and a group waits for its end.
    template = Datapoint(
        item_id=item_id,
        frame_id=frame.frame_id,
        content_key=encoded.content_key,
        image=encoded.image,
        image_size=encoded.image_size,
        prediction=prediction if persisted else None,
        source_size=encoded.source_size,
        batch_name=batch_name,
        tags=(),
        strategy="",
        utility=0.0,
        probability=0.0,
        reason="",
        model_id=pending.model_id,
        inference_id=pending.inference_id,
        captured_at=frame.captured_at,
        decided_at=pending.decided_at,
        attributes=frame.attributes,
        source=frame.source,
        parent=frame.parent,
        decision=decision,
        target=rules.target,
    )
    # The one that nearly always pays: made and looked at before the spool's lock is taken.
    first = _paid_by(template, rules, decision.matching[0])
    _check_writable(first)

    def compose(strategy: str) -> Datapoint:
        return first if strategy == first.strategy else _paid_by(first, rules, strategy)

    return Candidate(
        item_id=item_id,
        image=encoded.image,
        digest=encoded.digest,
        matching=decision.matching,
        decided_at=pending.decided_at,
        batch_name=batch_name,
        max_batch_images=rules.max_batch_images,
        target=rules.target,
        compose=compose,
        # The library's frames have no file; a row of their own lets `al explain` find them.
        key=pending.key
        or FrameKey(source=frame.source, frame_id=frame.frame_id, size=0, mtime_ns=0),
    )


def _paid_by(datapoint: Datapoint, rules: CollectionRules, strategy: str) -> Datapoint:
    """Return the datapoint as it is once a strategy has paid for it."""
    paying = next(e.verdict for e in datapoint.decision.verdicts if e.strategy == strategy)
    return replace(
        datapoint,
        tags=rules.tags(strategy, datapoint.model_id),
        strategy=strategy,
        utility=paying.utility,
        probability=paying.probability,
        reason=paying.reason,
    )


def _check_writable(datapoint: Datapoint) -> None:
    """Find what JSON cannot express before the spool's lock is taken, where it costs one frame."""
    try:
        size = len(json.dumps(datapoint_to_dict(datapoint), allow_nan=False))
    except (TypeError, ValueError) as exc:
        raise PredictionError(
            f"its metadata cannot be written as JSON ({exc}): look at its attributes, keypoints "
            "and embedding"
        ) from exc
    if size > _MAX_METADATA_BYTES:
        raise PredictionError(
            f"its metadata are {size} bytes as JSON, more than the {_MAX_METADATA_BYTES} we store: "
            "look at its source document, masks and attributes"
        )
