"""A sink as it was written for version 1.0 of the plugin API. Never edited."""

import json
import threading
from dataclasses import asdict
from pathlib import Path

from pydantic import Field, SecretStr

from al_framework.api import (
    Checkpoint,
    Context,
    Datapoint,
    Options,
    PermanentSinkError,
    Receipt,
    RunSummary,
    Sink,
    SinkPausedError,
    Target,
    TransientSinkError,
    datapoint_from_dict,
    datapoint_to_dict,
    hookimpl,
)

FACTS = (
    "item_id",
    "frame_id",
    "content_key",
    "image_size",
    "source_size",
    "batch_name",
    "tags",
    "strategy",
    "utility",
    "probability",
    "reason",
    "model_id",
    "inference_id",
    "captured_at",
    "decided_at",
    "attributes",
    "source",
    "parent",
    "target",
)


class BoxOptions(Options):
    path: Path = Field(description="Directory to write to.")
    key: SecretStr = Field(default=SecretStr(""), description="Key of the box.")


class Box(Sink[BoxOptions]):
    """Writes a picture and all that is known of it; the first attempt always fails."""

    type_name = "v1_box"

    def __init__(self, options: BoxOptions, context: Context) -> None:
        super().__init__(options, context)
        self._directory = context.resolve(options.path)
        self._lock = threading.Lock()

    @property
    def location(self) -> str | None:
        return str(self._directory)

    @property
    def target(self) -> Target:
        return Target(workspace="v1", project="box")

    def start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)

    def deliver(self, datapoint: Datapoint, checkpoint: Checkpoint) -> Receipt:
        if not self.options.key.get_secret_value():
            raise SinkPausedError(f"sink {self.context.name!r}: there is no key: give one")
        if len(datapoint.image) > 10_000_000:
            raise PermanentSinkError(f"sink {self.context.name!r}: the picture is too large")
        if checkpoint.state.get("step") != "announced":
            checkpoint.save(step="announced")
            raise TransientSinkError("not yet", retry_after_s=0.01)
        picture = self._directory / f"{datapoint.item_id}.jpg"
        document = datapoint_to_dict(datapoint)
        with self._lock:
            known = picture.exists()
            picture.write_bytes(datapoint.image)
            picture.with_suffix(".json").write_text(json.dumps(document))
        again = datapoint_from_dict(document, image=datapoint.image)
        facts = {name: str(getattr(again, name)) for name in FACTS}
        facts["outcome"] = again.decision.outcome
        facts["verdicts"] = str([entry.strategy for entry in again.decision.verdicts])
        picture.with_suffix(".facts").write_text(json.dumps(facts))
        return Receipt(
            status="duplicate" if known else "created",
            remote_id=datapoint.item_id,
            url=f"https://v1.example/{datapoint.item_id}",
        )

    def batch_size(self, batch_name: str, target: Target) -> int | None:
        return None if target.project == "unknown" else len(list(self._directory.glob("*.jpg")))

    def finish_run(self, summary: RunSummary) -> None:
        said = {
            "run": asdict(summary.run),
            "offered": summary.counts.offered,
            "sinks": {name: sink.delivered for name, sink in summary.counts.sinks.items()},
            "interrupted": summary.interrupted,
        }
        (self._directory / "summary.json").write_text(json.dumps(said))


@hookimpl
def al_register_sinks() -> list[type[Box]]:
    return [Box]
