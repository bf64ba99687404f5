"""One card of the page: the picture, what is on it, and why it was taken."""

from collections import defaultdict
from pathlib import Path
from urllib.parse import quote

from al_framework.api import Classification, Datapoint, Detections
from al_framework_local.page.drawing import drawing
from al_framework_local.page.palette import Palette
from al_framework_local.page.text import counted, escaped, moment, number, shortened
from al_framework_local.records import Record

_MAX_CHIPS = 8


def card(directory: Path, record: Record, palette: Palette) -> str:
    """Return the card of one record."""
    datapoint = record.datapoint
    link = quote(record.file)
    return (
        f'<article><a class="picture" href="{link}">{drawing(directory, record, palette)}</a>'
        f'<div class="text"><h2 title="{escaped(datapoint.frame_id)}">'
        f"{escaped(datapoint.frame_id)}</h2>"
        f"{_seen(datapoint, palette)}{_why(datapoint)}{_facts(datapoint)}</div></article>"
    )


def _seen(datapoint: Datapoint, palette: Palette) -> str:
    prediction = datapoint.prediction
    if isinstance(prediction, Detections):
        chips = _chips(prediction, palette)
        return f'<ul class="chips">{chips}</ul>' if chips else '<p class="none">nothing found</p>'
    if isinstance(prediction, Classification):
        return _classes(prediction, palette)
    return '<p class="none">no prediction</p>'


def _chips(detections: Detections, palette: Palette) -> str:
    scores: dict[str, list[float]] = defaultdict(list)
    for name, score in zip(detections.class_name, detections.confidence.tolist(), strict=True):
        scores[name].append(score)
    ordered = sorted(scores, key=lambda name: -max(scores[name]))
    chips = []
    for name in ordered[:_MAX_CHIPS]:
        low, high = min(scores[name]), max(scores[name])
        many = len(scores[name])
        text = f"{low:.2f}" if many == 1 else f"{low:.2f}\u2013{high:.2f}"
        times = f" <b>\u00d7{many}</b>" if many > 1 else ""
        chips.append(
            f'<li><i style="background:{palette.color(name)}"></i>'
            f"{escaped(shortened(name, 28))}{times} <span>{text}</span></li>"
        )
    more = len(ordered) - _MAX_CHIPS
    return "".join(chips) + (f"<li>{counted(more, 'more class', 'more classes')}</li>" * (more > 0))


def _classes(classification: Classification, palette: Palette) -> str:
    scores = dict(zip(classification.class_name, classification.confidence.tolist(), strict=True))
    chosen = set(classification.predicted or ())
    if classification.top is not None:
        chosen.add(classification.top)
        if classification.top_confidence is not None:
            scores[classification.top] = classification.top_confidence
    rows = []
    for name in sorted(scores, key=lambda name: (name not in chosen, -scores[name]))[:4]:
        share = min(max(scores[name], 0.0), 1.0)
        mark = ' class="chosen"' if name in chosen else ""
        rows.append(
            f"<li{mark}><span>{escaped(shortened(name, 28))}</span>"
            f'<s><i style="width:{share:.1%};background:{palette.color(name)}"></i></s>'
            f"<span>{scores[name]:.2f}</span></li>"
        )
    return f'<ul class="classes">{"".join(rows)}</ul>'


def _why(datapoint: Datapoint) -> str:
    others = [name for name in datapoint.decision.matching if name != datapoint.strategy]
    also = f'<p class="also">also wanted by {escaped(", ".join(others))}</p>' if others else ""
    reason = f"<p>{escaped(datapoint.reason)}</p>" if datapoint.reason else ""
    return (
        f'<div class="why"><p><b>{escaped(datapoint.strategy)}</b> '
        f"<span>utility {number(datapoint.utility)}, "
        f"probability {number(datapoint.probability)}</span></p>{reason}{also}</div>"
    )


def _facts(datapoint: Datapoint) -> str:
    tags = "".join(f"<li>{escaped(tag)}</li>" for tag in datapoint.tags)
    width, height = datapoint.image_size
    facts = f"{moment(datapoint.decided_at)} \u00b7 {width}\u00d7{height}"
    batch = f"batch {escaped(datapoint.batch_name)} \u00b7 " if datapoint.batch_name else ""
    return f'<p class="facts">{batch}{facts}</p>' + (
        f'<ul class="tags">{tags}</ul>' if tags else ""
    )
