"""Made-up cases of every kind, in the families of the recorded ones and around them."""

from datetime import datetime, timedelta

from made_collections import e2e
from made_documents import (
    INTERVALS,
    OTHER_TASKS,
    PERIODS,
    TASKS,
    document,
    maybe,
    odd,
    prediction,
    spoiled,
    strategy,
    task,
)


def strategies(random):
    count = 1 if maybe(random, 0.8) else random.randint(0, 5)
    names = (
        ["s"] if count == 1 else random.sample(("alpha", "beta", "gamma", "delta", "eps"), count)
    )
    entries, borders = [], []
    for name in names:
        entry, around = strategy(random, name)
        entries.append(entry)
        borders += around
    if maybe(random, 0.03):
        entries.append({"type": "unknown_future_type", "name": "zz"})
    kind = task(random)
    made = {
        "strategies": entries,
        "prediction": prediction(random, kind, borders),
        "prediction_type": kind,
    }
    if maybe(random, 0.12):
        return made | {"strategies": spoiled(random, entries)}
    if maybe(random, 0.12):
        return made | {"prediction": spoiled_mapping(random, made["prediction"])}
    return made


def batch_names(random):
    moment = datetime(1999, 1, 1) + timedelta(microseconds=random.randrange(101 * 366 * 86400))  # noqa: DTZ001 - local times have no zone
    day = moment.date() + timedelta(days=random.randrange(37000))
    moment = datetime.combine(
        day,
        random.choice((moment.time(), datetime.min.time(), datetime.max.time())),
    )
    made = {
        "batches_name_prefix": random.choice(
            ("al_batch", "p", "my batch", "", "zażółć", "a_b_2024_01_01", "%Y", "a/b&c=d", "🐱")
        ),
        "recreation_interval": random.choice(INTERVALS),
        "local_now": moment.isoformat(),
    }
    if maybe(random, 0.1):
        key = random.choice(("batches_name_prefix", "recreation_interval"))
        made[key] = random.choice(("Daily", "yearly", "NEVER", " daily", odd(random)))
    return made


def limits(random):
    family = random.choice(("random", "random", "random", "border", "backwards", "scoped"))
    if family == "border":
        return {"ops": list(_border(random))}
    return {"ops": list(_series(random, family))}


def _starts(random):
    return datetime.fromisoformat(
        random.choice(
            (
                "2024-06-10T08:00:00",
                "2024-06-10T12:29:50",
                "2024-03-05T13:59:57",
                "2024-03-05T23:59:56",
                "2023-12-31T22:59:59",
                "2024-12-31T23:59:58",
                "2024-02-28T23:58:30",
                "2024-10-27T00:59:55",
            )
        )
    ) + timedelta(minutes=random.choice((0, 0, random.randrange(9999))))


STEPS = (0, 0, 0.4, 1, 5, 29, 60, 61, 120, 1020, 3599, 3600, 7201, 82800, 86400, 90001)
QUICK = STEPS[:9]


def _series(random, family):
    names = random.sample(("default", "hard", "rare", "many"), random.randint(1, 3))
    rules = {name: _rules(random) for name in names}
    moment, steps = _starts(random), random.choice((QUICK, QUICK, STEPS))
    for _ in range(random.randint(2, 20)):
        moment += timedelta(seconds=random.choice(steps))
        if family == "backwards" and maybe(random, 0.2):
            moment -= timedelta(seconds=random.choice((30, 60, 70, 3600, 3660, 86400)))
        op = {"t": moment.isoformat()}
        if maybe(random, 0.15):
            op |= {"op": "return", "strategy": random.choice(names)}
        else:
            matching = [[name, rules[name]] for name in names if maybe(random, 0.8)]
            op |= {"op": "use", "matching": matching}
        if family == "scoped" and maybe(random, 0.4):
            op[random.choice(("ws", "proj"))] = random.choice(("other", "ws", "proj"))
        if maybe(random, 0.02):
            rules[random.choice(names)] = _rules(random)
        yield op


def _rules(random):
    periods = random.sample(PERIODS, random.randint(0, 3))
    if maybe(random, 0.03):
        periods = [random.choice((*PERIODS, "weekly")) for _ in range(2)]
    most = {"minutely": 4, "hourly": 8, "daily": 13}
    rules = [[period, random.randint(1, most.get(period, 1))] for period in periods]
    if maybe(random, 0.03) and rules:
        rules[0][1] = random.choice((0, -1, 1.5, 2.0, True, False, "5", None, 10**12))
    return rules


def _border(random):
    period, value = random.choice(PERIODS), random.randint(1, 2)
    base = _starts(random)
    gaps = (0, 1e-3, 1, 59, 59.999, 60, 60.001, 119.999, 120, 120.001, 3599, 3600, 7199.999)
    gaps += (7200, 7200.001, 86399, 86400, 89999, 90000, 90001, 31 * 86400, 366 * 86400)
    for gap in sorted(random.sample(gaps, random.randint(1, 5))):
        for _ in range(value + 1):
            moment = base + timedelta(seconds=gap)
            matching = [["a", [[period, value]]]]
            yield {"t": moment.isoformat(), "op": "use", "matching": matching}
            if maybe(random, 0.05):
                yield {"t": moment.isoformat(), "op": "return", "strategy": "a"}


CAMERAS = (
    (480, 640), (720, 1280), (1080, 1920), (1520, 2688), (1944, 2592), (2160, 3840), (576, 704),
    (1536, 2048), (240, 320), (512, 512), (600, 800), (1080, 4000), (1920, 1080), (1200, 1600),
)  # fmt: skip
MOST = ((1200, 1200), (1080, 1920), (480, 640), (1280, 1280), (640, 640), (512, 512), (224, 224))


def downscale(random):
    family = random.choice(("camera", "around", "random", "random", "exact", "extreme", "odd"))
    height, width = random.choice(CAMERAS)
    limit = list(random.choice(MOST))
    if family == "around":
        part = random.choice((1, 1, 2, 3, 4, 7))
        steps = (-1, 0, 1, 50)
        limit = [height // part + random.choice(steps), width // part + random.choice(steps)]
    elif family == "random":
        height, width = random.randint(1, 1500), random.randint(1, 1500)
        limit = [random.randint(1, 1500), random.randint(1, 1500)]
    elif family == "exact":
        a, b, n, m = (random.randint(1, 60) for _ in range(4))
        height, width = a * n, b * n
        limit = random.choice(([a * m, b * m], [5000, b * m], [a * m, 5000]))
    elif family == "extreme":
        height, width = random.randint(1, 4), random.randint(1, 5000)
        if maybe(random, 0.5):
            height, width = width, height
        limit = [random.randint(1, 100), random.randint(1, 100)]
    elif family == "odd":
        height, width = random.choice((0, 1, 100, 101)), random.choice((0, 1, 100, 200))
        limit = random.choice((odd(random), [odd(random), 50], [50.0, 60.0], [50, 60, 70]))
    if limit is not None and not isinstance(limit, list):
        limit = [limit, limit]
    limit = None if maybe(random, 0.03) else limit
    return {"h": height, "w": width, "max_image_size": limit}


FACTORS = (0.25, 1 / 3, 0.5, 16 / 27, 187 / 360, 2 / 3, 2, 0.1, 1.0, 1, 0.999995, 1.000009)
FACTORS += (0.99999, 1.00001, 1.00002, 0.4, 2.0, 1.5)


def _number(random, most):
    value = random.choice((random.randrange(most), round(random.random() * most, 1)))
    return random.choice((value, float(value), random.random() * most))


def _drawn(random, kind):
    entry = {
        "x": _number(random, 4000),
        "y": _number(random, 4000),
        "width": _number(random, 4000),
        "height": _number(random, 4000),
        "confidence": round(random.random(), 3),
        "class": random.choice(("a", "b")),
    }
    if maybe(random, 0.3):
        entry["class_id"] = random.randrange(3)
    if maybe(random, 0.1):
        entry |= {"detection_id": "d-1", "parent_id": "p", "tracker_id": 7}
    points = [
        {"x": _number(random, 4000), "y": _number(random, 4000)} for _ in range(random.randrange(4))
    ]
    if kind == "instance-segmentation" or maybe(random, 0.05):
        entry["points"] = points
    if "keypoint" in kind or maybe(random, 0.05):
        entry["keypoints"] = [point | {"class": "nose", "confidence": 0.5} for point in points]
    return entry


def _document_of(random, kind):
    if "classification" in kind and maybe(random, 0.8):
        made = prediction(random, "classification")
    else:
        count = random.choice((0, 1, 1, 2, 3))
        made = {"predictions": [_drawn(random, kind) for _ in range(count)]}
    if maybe(random, 0.6):
        made["image"] = {"width": random.randint(1, 4000), "height": random.randint(1, 4000)}
    if maybe(random, 0.1):
        made["time"] = 0.25
    if maybe(random, 0.05):
        made["is_stub"] = random.choice((True, False, None))
    return made


def rescale(random):
    kind = task(random, others=0.25)
    made = _document_of(random, kind)
    factor = random.choice(FACTORS)
    if maybe(random, 0.1):
        factor = random.choice((random.random() + 1e-3, random.random() * 1e-5 + 1, 0, -1.0, 1e-6))
    if maybe(random, 0.2):
        made = spoiled_mapping(random, made)
    return {"prediction": made, "scaling_factor": factor, "prediction_type": kind}


NAMES = ("cat", "kot", "żółw", "猫", 'a"b\\c\n/', "", "zażółć 🐱", "a\nb", "a,b", " ")


def encode(random):
    kind = random.choice((*TASKS, *OTHER_TASKS, "classification-x", "multi-label-classification"))
    made = random.choice(
        (
            {"top": random.choice((*NAMES, None, 5, True, ["cat", "dog"], {"a": 1}))},
            {"top": random.choice(NAMES), "confidence": 0.5, "predictions": []},
            {
                "predictions": {name: {"confidence": 0.6} for name in random.sample(NAMES, 2)},
                "predicted_classes": random.sample(NAMES, random.randrange(3)),
            },
            {"predictions": [], "time": 0.012, "inference_id": None},
            {"predictions": [_drawn(random, kind) for _ in range(random.randrange(4))]},
            {"predictions": [_drawn(random, kind) | {"class": random.choice(NAMES)}]},
            {"predictions": [{"x": -0.0, "y": 1e22, "width": 1e-7, "height": 0.1 + 0.2}]},
            {"b": 1, "a": 2},
            {"is_stub": True},
            prediction(random, kind),
        )
    )
    if maybe(random, 0.15):
        made = spoiled_mapping(random, made)
    return {"prediction": made, "prediction_type": kind}


def tags(random):
    def some():
        return random.choice(([], ["a"], ["a", "b"], ["c", "d"], ["A:/.[]<>{}@"], ["x", "x"]))

    entries = []
    for name in ("s1", "s2")[: random.randint(1, 2)]:
        entry = {"name": name, "type": "random"}
        if maybe(random, 0.7):
            entry["tags"] = some()
        entries.append(entry)
    made = {
        "env_tags": random.choice((None, [], ["a"], ["factory-x"], ["factory-x", "line-y"])),
        "tags": random.choice(("absent", some(), some())),
        "strategies": entries,
        "sampling_strategy": random.choice([entry["name"] for entry in entries]),
        "persist_predictions": random.choice((True, True, False)),
        "model_id": random.choice(
            ("coin-detection/3", "ws/proj/3", "a/b/c/d", "/", "", "x", "yolov8n-640", "m/1")
        ),
    }
    if maybe(random, 0.15):
        place = random.choice(("tags", "persist_predictions", "sampling_strategy", "entry"))
        wrong = random.choice((None, "", "false", 0, 1, "nope", [1, None], ["x", "x"], ["x", 5]))
        if place == "entry":
            entries[0]["tags"] = wrong
        else:
            made[place] = wrong
    return made


def forbidden(random):
    made = random.choice(
        (
            {},
            {"top": random.choice(("a", "", None))},
            {"predictions": random.choice(([], {}, "", "x", None, 5, ["a"], {"a": 1}, 0, True))},
            {"predictions": [{"class": "a"}]},
            {"predictions": {"a": {"confidence": 0.5}}, "predicted_classes": ["a"]},
        )
    )
    made = dict(made)
    if maybe(random, 0.4):
        made["is_stub"] = random.choice((True, False, None, 1, 0, "true", ""))
    if maybe(random, 0.2):
        made["top"] = random.choice(("a", "", None))
    if maybe(random, 0.1):
        made = spoiled_mapping(random, made)
    return {
        "prediction": made,
        "persist_predictions": random.choice((True, False, None, 0, 1, "false", "")),
        "roboflow_image_id": random.choice(("id", "", None)),
    }


IDS = ("XXX", "YYY", "ZZZ", "Y", "YY", "")
SOURCES = ("XXX", "YYY", "XXX/YYY", "ws/XXX", "AYYA", "ws/p/YYY", "YYY/", "/YYY", "Y", "")


def batch_accounting(random):
    batches = [
        {
            "name": random.choice(("b1", "b1", "b2", "b1_2024_01_01")),
            "numJobs": random.choice((0, 1, 2)),
            "images": random.randrange(11),
            "id": random.choice(IDS),
        }
        for _ in range(random.randrange(4))
    ]
    jobs = [
        {"sourceBatch": random.choice(SOURCES), "numImages": random.randrange(9)}
        for _ in range(random.randrange(5))
    ]
    made = {
        "batch_name": "b1",
        "max_batch_images": random.choice((random.randint(1, 50), random.randint(1, 12), 10, 1, 6)),
        "batches": {"batches": batches},
        "jobs": {"jobs": jobs},
    }
    if maybe(random, 0.05):
        made["max_batch_images"] = random.choice((None, 0, -1, 5.0, 1.5, "10", True))
    if maybe(random, 0.15):
        key = random.choice(("batches", "jobs"))
        made[key] = spoiled(random, made[key])
    return made


def config(random):
    made = document(random)
    fate = random.random()
    if fate < 0.35:
        return {"config": made}
    if fate < 0.85:
        return {"config": spoiled(random, made)}
    if fate < 0.95:
        return {"config": spoiled(random, made, times=2)}
    keys = ("target_workspace", "target_project", "enabled", "unknown_key", "tags")
    made[random.choice(keys)] = random.choice((odd(random), "", "w2", [None], ["ü"], "abc"))
    return {"config": made}


def spoiled_mapping(random, value):
    made = spoiled(random, value)
    return made if isinstance(made, dict) else value


KINDS = {
    make.__name__: make
    for make in (
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
