"""The upper part of the page: what ran, and a funnel whose numbers add up."""

from collections.abc import Mapping
from pathlib import Path

from al_framework.api import Counts, RunSummary, SinkCounts
from al_framework_local.page.text import counted, escaped, grouped, moment

_MAX_PROBLEMS = 5


def header(directory: Path, summary: RunSummary | None, total: int) -> str:
    """Return the title, and which run and configuration it was."""
    if summary is None:
        return (
            f"<header><h1>{escaped(directory.name)}</h1>"
            f"<p>{counted(total, 'picture')} collected</p></header>"
        )
    run = summary.run
    ended = "interrupted" if summary.interrupted else "finished"
    return (
        f"<header><h1>{escaped(run.name)}</h1>"
        f"<p><b>{counted(total, 'picture')}</b> collected \u00b7 last run {ended} "
        f"{moment(summary.finished_at)}</p>"
        f'<p class="facts">run {escaped(run.run_id)} \u00b7 configuration '
        f"{escaped(run.configuration_hash)} \u00b7 seed {run.seed}</p></header>"
    )


def report(summary: RunSummary, sink: str | None) -> str:
    """Return the funnel, the strategies and the problems of the last run."""
    counts = summary.counts
    return (
        '<section class="report">'
        f"<div>{_funnel(counts, counts.sinks.get(sink or ''))}</div>"
        f"<div>{_strategies(counts)}{_problems(summary.problems)}</div></section>"
    )


def _funnel(counts: Counts, sink: SinkCounts | None) -> str:
    rows = [
        ("seen", counts.offered, _sum({"skipped, done before": counts.skipped})),
        ("matched", counts.matched, _sum({"not selected": counts.not_selected})),
        ("limited", counts.limited, "refused, limit spent" if counts.limited else ""),
    ]
    if any(counts.dropped.values()):
        dropped = _named(counts.dropped)
        rows.append(("dropped", sum(dropped.values()), _sum(dropped)))
    rows.append(("accepted", counts.accepted, _sum({"still queued": counts.queued})))
    if sink is not None:
        rows.append(("delivered", sink.delivered, _sum(_deliveries(sink))))
    most = max([1, *(value for _, value, _ in rows)])
    lines = "".join(
        f'<li class="{name}"><span>{name}</span><s><i style="width:{value / most:.2%}"></i></s>'
        f"<b>{grouped(value)}</b><em>{escaped(note)}</em></li>"
        for name, value, note in rows
    )
    return f'<h3>Last run</h3><ol class="funnel">{lines}</ol>{_equation(counts, sink)}'


def _deliveries(sink: SinkCounts) -> dict[str, int]:
    return {
        "already there": sink.duplicates,
        "pending": sink.pending,
        "given up": sink.dead,
        "evicted": sink.evicted,
    }


def _equation(counts: Counts, sink: SinkCounts | None) -> str:
    parts = {
        "not selected": counts.not_selected,
        "limited": counts.limited,
        "accepted": counts.accepted,
        "queued": counts.queued,
        **_named(counts.dropped),
    }
    lines = [f"{grouped(counts.offered)} seen = {_sum(parts, ' + ')}"]
    if sink is not None:
        given = {"accepted": sink.accepted, "left by earlier runs": sink.recovered}
        ended = {
            "delivered": sink.delivered,
            "pending": sink.pending,
            "given up": sink.dead,
            "evicted": sink.evicted,
        }
        lines.append(f"{_sum(given, ' + ')} = {_sum(ended, ' + ')}")
    return "".join(f'<p class="facts">{escaped(line)}</p>' for line in lines)


def _named(dropped: Mapping[str, int]) -> dict[str, int]:
    return {reason.replace("_", " "): count for reason, count in dropped.items()}


def _sum(parts: Mapping[str, int], separator: str = ", ") -> str:
    shown = [f"{grouped(count)} {name}" for name, count in parts.items() if count]
    return separator.join(shown) or ("" if separator == ", " else "0")


def _strategies(counts: Counts) -> str:
    columns = ("evaluated", "matched", "selected", "paid", "not eligible", "failed")
    heads = "".join(f'<th scope="col">{column}</th>' for column in columns)
    rows = []
    for name, entry in counts.strategies.items():
        values = (
            entry.evaluated,
            entry.matched,
            entry.selected,
            entry.paid,
            entry.not_eligible,
            entry.failed,
        )
        off = " <em>switched off</em>" if entry.disabled else ""
        numbers = "".join(f"<td>{grouped(value)}</td>" for value in values)
        rows.append(f'<tr><th scope="row">{escaped(name)}{off}</th>{numbers}</tr>')
    return (
        f'<h3>Strategies</h3><div class="wide"><table><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _problems(problems: tuple[str, ...]) -> str:
    if not problems:
        return ""
    first = "".join(f"<li>{escaped(line)}</li>" for line in problems[:_MAX_PROBLEMS])
    rest = "".join(f"<li>{escaped(line)}</li>" for line in problems[_MAX_PROBLEMS:])
    more = counted(len(problems) - _MAX_PROBLEMS, "more problem")
    folded = f"<details><summary>{more}</summary><ul>{rest}</ul></details>" if rest else ""
    return f'<h3>Problems</h3><div class="problems"><ul>{first}</ul>{folded}</div>'
