"""A plugin that only listens, as it was written for version 1.0 of the API. Never edited."""

from al_framework.api import Datapoint, Receipt, RunInfo, RunSummary, hookimpl

heard: list[str] = []


@hookimpl
def al_run_started(run: RunInfo) -> None:
    heard.append(f"started {run.name}")


@hookimpl
def al_datapoint_delivered(sink: str, datapoint: Datapoint, receipt: Receipt) -> None:
    heard.append(f"delivered {sink} {datapoint.frame_id} {receipt.status}")


@hookimpl
def al_run_finished(summary: RunSummary) -> None:
    heard.append(f"finished {summary.run.name} {summary.counts.accepted}")
