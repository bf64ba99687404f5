"""The ``ActiveLearningDataCollector`` step as a Python object.

It takes what the step of that name took in Roboflow's workflows, and answers for each element what
became of it.
"""

import asyncio
import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from pydantic import SecretStr

from al_framework import Collector
from al_framework.api import (
    AlFrameworkError,
    Classification,
    Detections,
    FrameError,
    Image,
    Ticket,
    Unlabelled,
)
from al_framework_roboflow.elements import Element, RawElement, paired, read_element
from al_framework_roboflow.pool import CollectorPool, PoolError
from al_framework_roboflow.pool.keys import CollectorKey, make_key

__all__ = ["ActiveLearningDataCollector", "StepResult"]

_NO_INPUTS: Mapping[str, object] = MappingProxyType({})
_SELECTOR = "$inputs."
_SELECTORS = (_SELECTOR, "$steps.")

# Rules at work, and nothing that a person would have to repair.
_ORDINARY_DROPS: Mapping[str, str] = MappingProxyType(
    {
        "recently_sent": "the same picture went to this dataset within the last ten minutes",
        "batch_full": "the labelling batch holds as many pictures as it may",
        "no_configuration": "the project's configuration has not been fetched yet",
    }
)
_MESSAGES: Mapping[str, str] = MappingProxyType(
    {
        "queued": "a strategy takes it; its limits and the disk decide next",
        "accepted": "chosen, and safe on disk until it is delivered",
        "not_selected": "no sampling strategy takes it",
        "limited": "every strategy that takes it has spent its limit",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What became of one element.

    Attributes:
        status: As in `Ticket`; or ``disabled``, ``no_api_key``, or ``error``: the step itself
            cannot work as it is configured.
        error_status: Whether something is wrong that a person has to repair.
        message: The same in words.
        frame_id: The name of the frame, where there is one.
        item_id: The name of the datapoint, where there is one already.
    """

    status: str
    error_status: bool
    message: str
    frame_id: str | None = None
    item_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """The arguments of one call."""

    image: object = field(repr=False)
    predictions: object = field(repr=False)
    target_dataset: object
    prediction_type: object
    target_dataset_api_key: object = field(repr=False)
    disable_active_learning: object
    active_learning_configuration: object
    api_key: object = field(repr=False)
    inputs: Mapping[str, object] = field(repr=False)


class _RequestError(Exception):
    """The call as a whole cannot be served; the text says why."""


class ActiveLearningDataCollector:
    """Collects images with their predictions into a Roboflow project.

    Args:
        pool: Where the collectors live; shared by all steps of a process.
        name: Name of the step in messages.
    """

    def __init__(self, pool: CollectorPool, *, name: str = "collector") -> None:
        self._pool = pool
        self._name = name

    def run(  # noqa: PLR0913 - the parameters of the block
        self,
        *,
        image: object,
        predictions: object,
        target_dataset: str,
        prediction_type: object = None,
        target_dataset_api_key: str | SecretStr | None = None,
        disable_active_learning: bool | str = False,
        active_learning_configuration: Mapping[str, object] | None = None,
        api_key: str | SecretStr | None = None,
        inputs: Mapping[str, object] = _NO_INPUTS,
    ) -> list[StepResult]:
        """Offer one element or a batch of them; never raises.

        The first call for a key, dataset and configuration opens their spool and waits for the
        disk; later calls decide and return. Nothing that is passed is changed.

        Args:
            image: An image (array in BGR, PIL image, encoded bytes, path, or a dictionary of
                Roboflow Inference), or a list of them.
            predictions: What the model said of the image: its document, its list of entries, its
                top class, ``sv.Detections`` or None; for a list of images a list of as many.
            target_dataset: Project to collect into.
            prediction_type: The task, for all elements or a list of one each; by default the
                predictions tell it.
            target_dataset_api_key: API key of the project's workspace; by default `api_key`.
            disable_active_learning: True switches the step off, whatever else is passed.
            active_learning_configuration: Active Learning document; None: the project's own.
            api_key: API key of the request.
            inputs: What ``$inputs.<name>`` refers to, in any argument but `image` and
                `predictions`.

        Returns:
            One result for each element, in order.
        """
        request = _Request(
            image=image,
            predictions=predictions,
            target_dataset=target_dataset,
            prediction_type=prediction_type,
            target_dataset_api_key=target_dataset_api_key,
            disable_active_learning=disable_active_learning,
            active_learning_configuration=active_learning_configuration,
            api_key=api_key,
            inputs=inputs or _NO_INPUTS,
        )
        return self._run(request, wait=True)

    async def run_async(  # noqa: PLR0913 - the parameters of the block
        self,
        *,
        image: object,
        predictions: object,
        target_dataset: str,
        prediction_type: object = None,
        target_dataset_api_key: str | SecretStr | None = None,
        disable_active_learning: bool | str = False,
        active_learning_configuration: Mapping[str, object] | None = None,
        api_key: str | SecretStr | None = None,
        inputs: Mapping[str, object] = _NO_INPUTS,
    ) -> list[StepResult]:
        """Do as `run`, without ever blocking the event loop or waiting for a spool to open.

        While the collector of the first call is being opened, elements are copied and kept in
        memory, with the status ``queued``. If it cannot be opened they are lost; the log says so
        at once, and the results of later calls say why.
        """
        request = _Request(
            image=image,
            predictions=predictions,
            target_dataset=target_dataset,
            prediction_type=prediction_type,
            target_dataset_api_key=target_dataset_api_key,
            disable_active_learning=disable_active_learning,
            active_learning_configuration=active_learning_configuration,
            api_key=api_key,
            inputs=inputs or _NO_INPUTS,
        )
        return await asyncio.to_thread(self._run, request, wait=False)

    def _run(self, request: _Request, *, wait: bool) -> list[StepResult]:
        elements = paired(request.image, request.predictions, None)
        try:
            key = self._key(request)  # first: a step that is switched off finds no fault
            if isinstance(key, StepResult):
                return [key] * len(elements)
            kind = _resolved(request, "prediction_type")
        except _RequestError as exc:
            return [self._failed("error", str(exc))] * len(elements)
        elements = paired(request.image, request.predictions, kind)
        model_id = f"{key.dataset}/workflows"
        if wait or self._pool.is_open(key):
            try:
                with self._pool.lease(key) as collector:
                    return [self._offer(collector, raw, model_id) for raw in elements]
            except PoolError as exc:
                return [self._failed("error", str(exc))] * len(elements)
        return [self._keep(key, raw, model_id) for raw in elements]

    def _key(self, request: _Request) -> CollectorKey | StepResult:
        """Return whose collector is to be used, or the answer for all elements."""
        disabled = _resolved(request, "disable_active_learning")
        if not isinstance(disabled, bool | np.bool_ | None):
            raise _RequestError(
                f"'disable_active_learning' is {disabled!r}: it has to be true or false"
            )
        if disabled:
            return StepResult(
                status="disabled", error_status=False, message="switched off for this call"
            )
        configuration = _resolved(request, "active_learning_configuration")
        if isinstance(configuration, Mapping) and configuration.get("enabled") is False:
            return StepResult(
                status="disabled", error_status=False, message="switched off in its configuration"
            )
        secret = self._secret(request)
        if secret is None:
            return self._failed(
                "no_api_key",
                "there is no API key: pass 'target_dataset_api_key', or send one with the request",
            )
        dataset = _resolved(request, "target_dataset")
        try:
            return make_key(secret, dataset, configuration)
        except PoolError as exc:
            raise _RequestError(str(exc)) from None

    def _secret(self, request: _Request) -> SecretStr | None:
        for name in ("target_dataset_api_key", "api_key"):
            value = _resolved(request, name)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if value is not None and not isinstance(value, str):
                raise _RequestError(
                    f"{name!r} is of type {type(value).__name__!r}: it has to be text"
                )
            if value:
                return SecretStr(value)
        return None

    def _offer(self, collector: Collector, raw: RawElement, model_id: str) -> StepResult:
        try:
            return self._result(_submit(collector, _read(raw), model_id))
        except FrameError as exc:
            return self._failed("invalid", str(exc))

    def _keep(self, key: CollectorKey, raw: RawElement, model_id: str) -> StepResult:
        """Keep an element in memory until its collector is open."""

        def submit(collector: Collector | None) -> None:
            if collector is not None:
                _submit(collector, element, model_id)

        try:
            element, size = _owned(_read(raw))
            self._pool.when_open(key, submit, size=size)
        except FrameError as exc:
            return self._failed("invalid", str(exc))
        except PoolError as exc:
            return self._failed("error", str(exc))
        return StepResult(
            status="queued",
            error_status=False,
            message="kept in memory until the collector is open",
        )

    def _failed(self, status: str, message: str) -> StepResult:
        return StepResult(
            status=status, error_status=True, message=f"step {self._name!r}: {message}"
        )

    def _result(self, ticket: Ticket) -> StepResult:
        reason = ticket.reason
        lost = ticket.status == "invalid"
        message = _MESSAGES.get(ticket.status, reason)
        if ticket.status == "not_selected" and reason:  # collection is off
            message = f"nothing is collected: {reason}"
        if ticket.status == "dropped":
            lost = reason not in _ORDINARY_DROPS
            message = _ORDINARY_DROPS.get(reason, f"the image is lost: {reason}")
        return StepResult(
            status=ticket.status,
            error_status=lost,
            message=f"step {self._name!r}: {message}" if lost else message,
            frame_id=ticket.frame_id,
            item_id=ticket.item_id,
        )


def _resolved(request: _Request, name: str) -> object:
    """Return an argument, or the input that it refers to."""
    value = getattr(request, name)
    if not isinstance(value, str) or not value.startswith(_SELECTORS):
        return value
    key, inputs = value.removeprefix(_SELECTOR), request.inputs
    if not isinstance(inputs, Mapping):
        raise _RequestError(
            f"'inputs' is of type {type(inputs).__name__!r}: it has to map names to values"
        )
    if key not in inputs:
        known = ", ".join(repr(f"{_SELECTOR}{one}") for one in inputs) or "none"
        raise _RequestError(
            f"{name!r} refers to {value!r}, which is not there; the inputs are {known}"
        )
    return inputs[key]


def _read(raw: RawElement) -> Element:
    if raw.problem:
        raise FrameError(raw.problem)
    try:
        return read_element(raw)
    except AlFrameworkError:
        raise
    except Exception as exc:  # whatever one element holds, its neighbours go on
        raise FrameError(f"the element cannot be read: {type(exc).__name__}: {exc}") from exc


def _submit(collector: Collector, element: Element, model_id: str) -> Ticket:
    return collector.submit(
        element.image,
        element.prediction,
        prediction_type=element.prediction_type,
        model_id=model_id,
        parent=element.parent,
        attributes=element.attributes,
    )


def _owned(element: Element) -> tuple[Element, int]:
    """Return an element that shares nothing its giver may change, and its size in bytes."""
    image = element.image
    if isinstance(image, bytearray | memoryview):
        image = bytes(image)
    elif not isinstance(image, bytes | str | os.PathLike):
        image = image.copy()
    prediction = element.prediction
    if not isinstance(prediction, Detections | Classification | Unlabelled):
        prediction = copy.deepcopy(prediction)
    return replace(element, image=image, prediction=prediction), Image(image).nbytes
