"""Write ``index.html``: one file to look at a collection, without a server and without a network.

Everything is inside it: thumbnails as data, drawings as SVG, no script at all. A content security
policy keeps it so, whatever a frame's or a class's name holds.
"""

from collections import Counter, deque
from pathlib import Path

from al_framework.api import Classification, Detections, RunSummary
from al_framework_local.durable import replace_file
from al_framework_local.manifest import MANIFEST
from al_framework_local.page.card import card
from al_framework_local.page.palette import Palette
from al_framework_local.page.report import header, report
from al_framework_local.page.style import STYLE
from al_framework_local.page.text import escaped
from al_framework_local.records import Record, read_record

PAGE = "index.html"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_page(
    directory: Path, summary: RunSummary | None, *, sink: str | None = None, limit: int = 200
) -> Path:
    """Write the page of a collection and return its path.

    Args:
        directory: What the sink `directory` wrote.
        summary: How the last run ended, or None where nobody knows.
        sink: The sink's name in the summary; None leaves deliveries out.
        limit: How many pictures to show, newest first.

    Raises:
        OSError: The page cannot be written; the old one is still there.
    """
    total, records = _newest(directory, limit)
    palette = Palette(_class_counts(records))
    cards = "\n".join(card(directory, record, palette) for record in records)
    more = total - len(records)
    body = [
        header(directory, summary, total),
        report(summary, sink) if summary is not None else "",
        f'<main class="cards">\n{cards}\n</main>' if records else _EMPTY,
        f'<p class="more">{more} more in images/, listed in {MANIFEST}</p>' if more else "",
    ]
    name = summary.run.name if summary is not None else directory.name
    path = directory / PAGE
    replace_file(path, _document(name, "\n".join(body)).encode())
    return path


_EMPTY = '<p class="more">Nothing has been collected yet.</p>'


def _document(name: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escaped(name)} &ndash; collected frames</title>
<style>{STYLE}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _newest(directory: Path, limit: int) -> tuple[int, list[Record]]:
    lines: deque[bytes] = deque(maxlen=limit)
    total = 0
    try:
        with (directory / MANIFEST).open("rb") as stream:
            for line in stream:
                total += 1
                lines.append(line)
    except FileNotFoundError:
        return 0, []
    records = []
    for line in reversed(lines):
        try:
            records.append(read_record(line))
        except ValueError:
            total -= 1  # al export names such lines; the page is for looking
    return total, records


def _class_counts(records: list[Record]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for record in records:
        prediction = record.datapoint.prediction
        if isinstance(prediction, Detections | Classification):
            counts.update(prediction.class_name)
    return counts
