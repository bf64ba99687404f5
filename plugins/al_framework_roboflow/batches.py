"""Count the images of a labelling batch, those in its labelling jobs included.

Source: Roboflow inference, active_learning/core.py and batching.py, 2026-08. Deviation
``exact-batch-id`` (D20): upstream takes a job for one of the batch when its source merely contains
the batch's id as text, and so counts the jobs of ``b12`` for ``b1``.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field


class UncountableBatchError(ValueError):
    """What the server says is not enough to count; the text says what is missing."""


class _Entry(BaseModel):
    # Every field may be missing: what nobody asks for must not spoil the rest of the list.
    model_config = ConfigDict(
        frozen=True, extra="ignore", coerce_numbers_to_str=True, hide_input_in_errors=True
    )


class Batch(_Entry):
    """A labelling batch.

    Attributes:
        name: Its name, which several can have.
        id: Names it for ever.
        images: How many images wait in it.
        num_jobs: How many labelling jobs were made of it.
    """

    name: str | None = None
    id: str | None = None
    images: int | None = Field(default=None, ge=0)
    num_jobs: int | None = Field(default=None, ge=0, alias="numJobs")

    @property
    def has_jobs(self) -> bool:
        """Whether its labelling jobs have to be asked for.

        Raises:
            UncountableBatchError: The server does not say.
        """
        return _number(self.num_jobs, f"numJobs of the batch {self.name!r}") > 0


class Job(_Entry):
    """A labelling job.

    Attributes:
        source_batch: ``<something>/<batch id>``, the id alone, or a list of ids.
        num_images: How many images it holds.
    """

    source_batch: str | list[str] | None = Field(default=None, alias="sourceBatch")
    num_images: int | None = Field(default=None, ge=0, alias="numImages")

    def is_of(self, batch_id: str) -> bool:
        """Tell whether the job was made of that batch.

        Raises:
            UncountableBatchError: The server does not say what it was made of.
        """
        source = self.source_batch
        if source is None:
            raise UncountableBatchError("sourceBatch of a labelling job is missing")
        if isinstance(source, list):
            return batch_id in source
        return batch_id in {source, source.rpartition("/")[2]}


def find_batch(batches: Sequence[Batch], batch_name: str) -> Batch | None:
    """Return the first batch of that name, as upstream does, or None.

    Raises:
        UncountableBatchError: There is none, but one without a name, which may be it.
    """
    found = next((batch for batch in batches if batch.name == batch_name), None)
    if found is None and any(batch.name is None for batch in batches):
        raise UncountableBatchError("name of a labelling batch is missing")
    return found


def batch_images(batches: Sequence[Batch], jobs: Sequence[Job], batch_name: str) -> int | None:
    """Return how many images the first batch of that name holds, or None if there is none.

    Args:
        batches: The labelling batches of the project.
        jobs: Its labelling jobs, which are looked at where `Batch.has_jobs`.
        batch_name: The batch to count.

    Raises:
        UncountableBatchError: A number that is needed is missing.
    """
    batch = find_batch(batches, batch_name)
    if batch is None:
        return None
    count = _number(batch.images, f"images of the batch {batch_name!r}")
    if not batch.has_jobs:
        return count
    if batch.id is None:
        raise UncountableBatchError(f"id of the batch {batch_name!r} is missing")
    return count + sum(
        _number(job.num_images, f"numImages of a labelling job of the batch {batch_name!r}")
        for job in jobs
        if job.is_of(batch.id)
    )


def _number(value: int | None, place: str) -> int:
    if value is None:
        raise UncountableBatchError(f"{place} is missing")
    return value
