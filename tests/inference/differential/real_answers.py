"""What the real Roboflow Inference answers, in the form of the recorded vectors.

Nothing of it is replaced but the network and the clocks, and the compression of pictures.
"""

import copy
from collections import OrderedDict
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from unittest import mock

import numpy as np
from inference.core.active_learning import (
    accounting,
    cache_operations,
    configuration,
    core,
    middlewares,
    post_processing,
    utils,
)
from inference.core.active_learning.batching import generate_batch_name
from inference.core.active_learning.entities import (
    ActiveLearningConfiguration,
    ImageDimensions,
    StrategyLimit,
)
from inference.core.cache import memory
from recording_server import Server

WORKSPACE, DATASET, MODEL = "my_workspace", "coin-detection", "coin-detection/3"


def error(exc, **more):
    kind = type(exc)
    name = "cv2.error" if kind.__module__ == "cv2" else kind.__name__
    return {"error": name, **more}


def strategies(case):
    case = copy.deepcopy(case)
    try:
        methods = configuration.initialize_sampling_methods(case["strategies"])
    except Exception as exc:  # noqa: BLE001 - it is the answer
        return error(exc, stage="init")
    try:
        return core.execute_sampling(
            image=np.zeros((2, 2, 3), np.uint8),
            prediction=case["prediction"],
            prediction_type=case["prediction_type"],
            sampling_methods=methods,
        )
    except Exception as exc:  # noqa: BLE001 - it is the answer
        return error(exc, stage="sample")


def batch_names(case):
    document = _document(
        batching_strategy={
            "batches_name_prefix": case["batches_name_prefix"],
            "recreation_interval": case["recreation_interval"],
        }
    )
    try:
        parsed = _parsed(document)
        with local_time(datetime.fromisoformat(case["local_now"])):
            return generate_batch_name(configuration=parsed)
    except Exception as exc:  # noqa: BLE001 - it is the answer
        return error(exc)


def limits(case):
    cache, answers = Cache(), []
    for op in case["ops"]:
        scope = {
            "cache": cache,
            "workspace": op.get("ws", "ws"),
            "project": op.get("proj", "proj"),
        }
        with utc_time(datetime.fromisoformat(op["t"])):
            try:
                if op["op"] == "return":
                    cache_operations.return_strategy_credit(strategy_name=op["strategy"], **scope)
                    answers.append(None)
                    continue
                matching = OrderedDict(
                    (
                        name,
                        [StrategyLimit.from_dict({"type": k, "value": v}) for k, v in limits],
                    )
                    for name, limits in op["matching"]
                )
                answers.append(
                    cache_operations.use_credit_of_matching_strategy(
                        matching_strategies_limits=matching, **scope
                    )
                )
            except Exception as exc:  # noqa: BLE001 - it is the answer
                answers.append(error(exc))
    return answers


def downscale(case):
    limit = case["max_image_size"]
    try:
        size = None if limit is None else ImageDimensions(height=limit[0], width=limit[1])
        with mock.patch.object(core, "encode_image_to_jpeg_bytes", return_value=b""):
            prepared = core.prepare_image_to_registration_with_metadata(
                image=np.zeros((case["h"], case["w"]), np.uint8),
                desired_size=size,
                jpeg_compression_level=95,
            )
    except Exception as exc:  # noqa: BLE001 - it is the answer
        return error(exc)
    return {
        "h": prepared.final_size_wh[1],
        "w": prepared.final_size_wh[0],
        "scaling_factor": prepared.scaling_factor,
        "scale_x": prepared.scale_x,
        "scale_y": prepared.scale_y,
    }


def rescale(case):
    case = copy.deepcopy(case)
    try:
        return post_processing.adjust_prediction_to_client_scaling_factor(**case)
    except Exception as exc:  # noqa: BLE001 - it is the answer
        return error(exc)


def encode(case):
    try:
        return list(post_processing.encode_prediction(**copy.deepcopy(case)))
    except Exception as exc:  # noqa: BLE001 - it is the answer
        return error(exc)


def tags(case):
    document = _document(
        sampling_strategies=case["strategies"], persist_predictions=case["persist_predictions"]
    )
    if case["tags"] != "absent":
        document["tags"] = case["tags"]
    try:
        parsed = _parsed(document, model_id=case["model_id"])
        with mock.patch.object(core, "ACTIVE_LEARNING_TAGS", case["env_tags"]):
            return core.collect_tags(parsed, case["sampling_strategy"])
    except Exception as exc:  # noqa: BLE001 - it is the answer
        return error(exc)


def forbidden(case):
    try:
        return core.is_prediction_registration_forbidden(**copy.deepcopy(case))
    except Exception as exc:  # noqa: BLE001 - it is the answer
        return error(exc)


def batch_accounting(case):
    calls = []

    def reply(name):
        def replying(**_arguments):
            calls.append(name)
            return copy.deepcopy(case[name])

        return replying

    with (
        mock.patch.object(accounting, "get_roboflow_labeling_batches", reply("batches")),
        mock.patch.object(accounting, "get_roboflow_labeling_jobs", reply("jobs")),
    ):
        try:
            room = accounting.image_can_be_submitted_to_batch(
                batch_name=case["batch_name"],
                workspace_id=WORKSPACE,
                dataset_id=DATASET,
                max_batch_images=case["max_batch_images"],
                api_key="key",
            )
        except Exception as exc:  # noqa: BLE001 - it is the answer
            return error(exc, calls=calls)
    return {"may_submit": room, "calls": calls}


def config(case):
    document, place = case["config"], {"target_dataset": DATASET, "model_id": MODEL}
    with _metadata(document):
        remote = _verdict(
            configuration.prepare_active_learning_configuration,
            api_key="key",
            cache=Cache(),
            **place,
        )
        in_place = _verdict(
            configuration.prepare_active_learning_configuration_inplace,
            api_key="key",
            active_learning_configuration=copy.deepcopy(document),
            **place,
        )
    return {"remote": remote} | ({} if in_place == remote else {"inplace": in_place})


def e2e(case):
    server = Server(case["server"])
    results = []
    with _metadata(case["config"]), server.in_place():
        middleware = middlewares.ActiveLearningMiddleware.init_from_config(
            api_key="key",
            target_dataset=DATASET,
            model_id=MODEL,
            cache=Cache(),
            config=copy.deepcopy(case["config"]),
        )
        for number, frame in enumerate(case["frames"], start=1):
            server.frame, server.number = frame, number
            moment = datetime.fromisoformat(frame["t"])
            result = {}
            with utc_time(moment), local_time(moment):
                try:
                    middleware.register(
                        inference_input=np.zeros((frame["h"], frame["w"], 3), np.uint8),
                        prediction=copy.deepcopy(frame["prediction"]),
                        prediction_type=case["prediction_type"],
                        inference_id=frame.get("inference_id"),
                    )
                except Exception as exc:  # noqa: BLE001 - it is the answer
                    result = error(exc)
            results.append({**result, "calls": server.take()})
    return results


KINDS = {
    answer.__name__: answer
    for answer in (
        strategies,
        batch_names,
        limits,
        downscale,
        rescale,
        encode,
        tags,
        forbidden,
        batch_accounting,
        config,
        e2e,
    )
}


class Cache(memory.MemoryCache):
    """The real one, without the thread that tidies up by the wall clock."""

    def _expire(self):
        pass


def _document(**changes):
    return {
        "persist_predictions": True,
        "sampling_strategies": [],
        "batching_strategy": {"batches_name_prefix": "b", "recreation_interval": "never"},
        **changes,
    }


def _parsed(document, *, model_id=MODEL):
    return ActiveLearningConfiguration.init(
        roboflow_api_configuration=document,
        sampling_methods=[],
        workspace_id=WORKSPACE,
        dataset_id=DATASET,
        model_id=model_id,
    )


@contextmanager
def _metadata(document):
    replies = {
        "get_roboflow_workspace": WORKSPACE,
        "get_roboflow_dataset_type": "object-detection",
        "get_roboflow_active_learning_configuration": copy.deepcopy(document),
    }
    with ExitStack() as stack:
        for name, reply in replies.items():
            stack.enter_context(mock.patch.object(configuration, name, return_value=reply))
        yield


def _verdict(prepare, **arguments):
    try:
        parsed = prepare(**arguments)
    except Exception as exc:  # noqa: BLE001 - it is the answer
        return {"outcome": "error", **error(exc)}
    if parsed is None:
        return {"outcome": "disabled"}
    size = parsed.max_image_size
    return {
        "outcome": "ok",
        "summary": {
            "max_image_size": None if size is None else [size.height, size.width],
            "jpeg_compression_level": parsed.jpeg_compression_level,
            "persist_predictions": parsed.persist_predictions,
            "sampling_methods": [method.name for method in parsed.sampling_methods],
            "batches_name_prefix": parsed.batches_name_prefix,
            "recreation_interval": parsed.batch_recreation_interval.value,
            "max_batch_images": parsed.max_batch_images,
            "workspace_id": parsed.workspace_id,
            "dataset_id": parsed.dataset_id,
            "model_id": parsed.model_id,
            "tags": parsed.tags,
            "strategies_limits": {
                name: [[limit.limit_type.value, limit.value] for limit in each]
                for name, each in parsed.strategies_limits.items()
            },
            "strategies_tags": parsed.strategies_tags,
        },
    }


@contextmanager
def local_time(moment):
    with mock.patch.object(utils, "datetime", _clock(moment)):
        yield


@contextmanager
def utc_time(moment):
    seconds = moment.replace(tzinfo=UTC).timestamp()
    clock = mock.Mock(wraps=memory.time)
    clock.time.side_effect = lambda: seconds
    with (
        mock.patch.object(cache_operations, "datetime", _clock(moment)),
        mock.patch.object(memory, "time", clock),
    ):
        yield


def _clock(moment):
    class Clock(datetime):
        @classmethod
        def today(cls):
            return moment

        @classmethod
        def utcnow(cls):
            return moment

    return Clock
