"""Parts of made-up cases: predictions, strategies and whole documents, from a seeded generator."""

import math

CLASSES = ("cat", "dog", "car", "person", "a")
TASKS = ("object-detection", "instance-segmentation", "keypoint-detection", "classification")
OTHER_TASKS = (
    "keypoints-detection",
    "classification-multi-label",
    "multi-label-classification",
    "single-label-classification",
    "semantic-segmentation",
    "gaze-detection",
    "Object-Detection",
    "Classification",
    "stub",
    "llm",
    "anything",
    "",
)
ODD = (None, True, False, 0, 1, -1, 2, 0.5, 1.0, 1.5, -0.0, 1e300, 101, "", "x", "1", "never")
ODD_LISTS = ([], [1], ["x"], [1, 2], [0, 0], [1.5, 2.5], [-1, 5], [None], [1, 2, 3], {}, {"a": 1})
PERIODS = ("minutely", "hourly", "daily")
INTERVALS = ("never", "daily", "weekly", "monthly")
KINDS = ("random", "close_to_threshold", "classes_based", "detections_number_based")


def odd(random):
    return random.choice(ODD if random.random() < 0.6 else ODD_LISTS)


def maybe(random, chance):
    return random.random() < chance


def task(random, *, others=0.15):
    return random.choice(OTHER_TASKS if maybe(random, others) else TASKS)


def near(random, value, spread):
    """A number at, or one step beside, the border of an interval around a value."""
    edge = value + random.choice((-1, 0, 1)) * spread
    toward = random.choice((-math.inf, math.inf, edge))
    return math.nextafter(edge, toward)


def confidence(random, borders):
    if borders and maybe(random, 0.5):
        return near(random, *random.choice(borders))
    return random.choice(
        (
            random.random(),
            round(random.random(), 2),
            round(random.random(), 4),
            random.choice((0, 1, 0.0, 1.0, 0.5, 0.1, 0.7, 0.3 - 0.1, 0.1 + 0.2)),
            random.choice((1.05, 1.5, -0.1, -0.5, 1e-9, 1 - 1e-9, 5e-324)),
        )
    )


def detection(random, borders=(), *, kind="", boxed=0.4):
    entry = {"class": random.choice(CLASSES), "confidence": confidence(random, borders)}
    if maybe(random, boxed):
        entry |= {"x": 10.5, "y": 20.0, "width": 4.0, "height": 5.0}
        if maybe(random, 0.5):
            entry["class_id"] = random.randrange(5)
        if "segmentation" in kind or maybe(random, 0.1):
            entry["points"] = [{"x": 1.0, "y": 2.0}]
        if "keypoint" in kind:
            entry["keypoints"] = [{"x": 1.0, "y": 2.0, "class": "nose", "confidence": 0.5}]
    return entry


def ranked(random, borders):
    """A multi-class classification."""
    names = random.sample(CLASSES, random.randint(1, 4))
    scores = sorted((confidence(random, borders) for _ in names), reverse=True)
    pairs = zip(names, scores, strict=True)
    entries = [{"class": name, "confidence": score} for name, score in pairs]
    return {"predictions": entries, "top": names[0], "confidence": scores[0]}


def labelled(random, borders):
    """A multi-label classification."""
    names = random.sample(CLASSES, random.randint(0, 4))
    return {
        "predictions": {name: {"confidence": confidence(random, borders)} for name in names},
        "predicted_classes": [name for name in names if maybe(random, 0.5)],
    }


def prediction(random, kind, borders=()):
    shape = random.random()
    if shape < 0.04:
        made = random.choice(
            (
                {"is_stub": True},
                {"is_stub": True, "predictions": []},
                {"is_stub": False, "predictions": []},
                {"is_stub": None, "predictions": []},
                {"is_stub": True, "top": "cat", "confidence": 0.5},
                {"is_stub": 1, "predictions": [{"class": "cat", "confidence": 0.5}]},
                {"is_stub": 0, "predictions": [{"class": "cat", "confidence": 0.5}]},
            )
        )
        return dict(made)
    if shape < 0.06:
        return random.choice(({}, {"predictions": []}, {"predictions": {}}))
    classification = "classification" in kind.lower()
    if shape < 0.14:
        classification = not classification
    if classification:
        make = ranked if maybe(random, 0.5) else labelled
        made = make(random, borders)
    else:
        count = random.choice((0, 0, 1, 1, 2, 3, 4, 5, 7))
        made = {"predictions": [detection(random, borders, kind=kind) for _ in range(count)]}
    if maybe(random, 0.15):
        made["image"] = {"width": 640, "height": 480}
    if maybe(random, 0.05):
        made["time"] = 0.25
    return made


def strategy(random, name="s", *, chances=(0, 0.0, 1, 1.0, 1.0, 1.0)):
    """A strategy that passes, and the borders of what it looks at."""
    kind = random.choice(KINDS)
    made = {"name": name, "type": kind}
    if kind == "random":
        made["traffic_percentage"] = random.choice(chances)
        return made, ()
    made["probability"] = random.choice(chances)
    if kind == "classes_based":
        made["selected_class_names"] = selected(random)
        return made, ((0.5, 1.0),)
    if maybe(random, 0.4):
        made["selected_class_names"] = random.choice((selected(random), None, []))
    if kind == "detections_number_based":
        made |= limits_of_number(random)
        return made, ((0.5, 1.0),)
    threshold = random.choice((0, 1, 0.0, 0.5, 0.7, 1.0, 0.35, round(random.random(), 2)))
    epsilon = random.choice((0.0, 1, 1.0, 0.1, 0.25, 0.15, round(random.random() / 2, 2)))
    made |= {"threshold": threshold, "epsilon": epsilon}
    if maybe(random, 0.4):
        made["only_top_classes"] = random.choice((True, False))
    if maybe(random, 0.4):
        made["minimum_objects_close_to_threshold"] = random.choice((-1, 0, 1, 2, 3, 5))
    return made, ((threshold, epsilon),)


def selected(random):
    return random.sample(CLASSES, random.randint(1, 3))


def limits_of_number(random):
    more, less = random.choice((None, 0, 1, 2, 3, 4, 5)), random.choice((None, 0, 1, 2, 3, 5, 8))
    if more is not None and less is not None and more >= less and maybe(random, 0.9):
        more, less = less, more + 1
    bounds = {"more_than": more, "less_than": less}
    return {key: value for key, value in bounds.items() if value is not None or maybe(random, 0.5)}


def document(random):
    """A document as Roboflow's documentation has it."""
    made = {
        "enabled": True,
        "persist_predictions": random.choice((True, False)),
        "sampling_strategies": [],
        "batching_strategy": {
            "batches_name_prefix": random.choice(("al_batch", "b")),
            "recreation_interval": random.choice(("never", "daily", "weekly", "monthly")),
        },
    }
    for name in random.sample(("default", "many", "hard", "rare"), random.randint(1, 4)):
        entry, _ = strategy(random, name, chances=(0.0, 1.0, 1, 0.25, 0.1, 0.5))
        if maybe(random, 0.4):
            entry["tags"] = random.choice((["x", "y"], ["x"], [], ["A:/.[]<>{}@"], ["x", "x"]))
        if maybe(random, 0.6):
            kinds = random.sample(("minutely", "hourly", "daily"), random.randint(0, 3))
            entry["limits"] = [{"type": each, "value": random.randint(1, 999)} for each in kinds]
        made["sampling_strategies"].append(entry)
    optional = {
        "max_image_size": random.choice(([1200, 1200], [640, 480], [1, 1], [480.0, 640])),
        "jpeg_compression_level": random.choice((1, 75, 95, 100, 95.0)),
        "tags": random.choice(([], ["a"], ["a", "b"], ["a", "a"])),
        "target_workspace": "other_ws",
        "target_project": "other_proj",
    }
    made |= {key: value for key, value in optional.items() if maybe(random, 0.3)}
    if maybe(random, 0.4):
        made["batching_strategy"]["max_batch_images"] = random.choice((1, 5, 5.0, 4711, None))
    return made


def spoiled(random, value, *, times=1):
    """A copy with something taken away, doubled, or put in another's place."""
    for _ in range(times):
        value = _spoiled(random, value)
    return value


def _spoiled(random, value):
    branches = [value] if not isinstance(value, dict | list) or not value else []
    if branches or maybe(random, 0.05):
        return odd(random)
    copy = dict(value) if isinstance(value, dict) else list(value)
    key = random.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
    deed = random.random()
    if deed < 0.55 and isinstance(copy[key], dict | list):
        copy[key] = _spoiled(random, copy[key])
    elif deed < 0.72:
        del copy[key]
    elif deed < 0.77 and isinstance(copy, list):
        copy.insert(key, copy[key])
    else:
        copy[key] = odd(random)
    return copy
