"""A source as it was written for version 1.0 of the plugin API. Never edited."""

from collections.abc import Callable, Iterator

import numpy as np
from pydantic import Field

from al_framework.api import (
    Frame,
    FrameError,
    FrameKey,
    Image,
    Options,
    Source,
    SourceError,
    hookimpl,
)


class BeltOptions(Options):
    frames: int = Field(default=6, ge=0, description="How many frames there are.")
    note: str = Field(default="note.txt", description="File with a note, beside the configuration.")


class Belt(Source[BeltOptions]):
    """Grey pictures, the brighter the later."""

    type_name = "v1_belt"

    def start(self) -> None:
        note = self.context.resolve(self.options.note)
        if not note.is_file():
            raise SourceError(f"source {self.context.name!r}: there is no file {str(note)!r}")
        self._note = note.read_text()
        self.context.logger.info("%s begins at %f", self.context.name, self.context.clock.time())

    def close(self) -> None:
        self._note = ""

    def frames(self, skip: Callable[[FrameKey], bool]) -> Iterator[Frame]:
        for number in range(self.options.frames):
            frame_id = f"{self.context.name}/{number}"
            key = FrameKey(source=self.context.name, frame_id=frame_id, size=number, mtime_ns=1)
            if skip(key):
                continue
            pixels = np.full((32, 48, 3), 40 * number, dtype=np.uint8)
            yield Frame(
                frame_id=frame_id,
                image=Image(pixels, color="rgb"),
                captured_at=1_700_000_000.0 + number,
                source=self.context.name,
                attributes={"note": self._note},
                parent=None,
            )

    def recorded_prediction(self, frame: Frame) -> object | None:
        number = int(frame.frame_id.rpartition("/")[2])
        if number == 0:
            raise FrameError("the first frame is for warming up", frame_id=frame.frame_id)
        return {"v1": [[1.0, 2.0, 20.0, 30.0, 0.1 * number, "cat"]]}

    def __len__(self) -> int:
        return self.options.frames


@hookimpl
def al_register_sources() -> list[type[Belt]]:
    return [Belt]
