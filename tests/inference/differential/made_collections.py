"""Made-up collections: a document, frames, and what the server replies."""

from datetime import datetime, timedelta

from made_documents import CLASSES, INTERVALS, PERIODS, TASKS, confidence, maybe

UPLOADS = (
    {"json": {"success": False}},
    {"json": {"success": True}},
    {"json": {}},
    {"json": {"success": True, "duplicate": True, "id": "d"}},
    {"json": {"duplicate": True, "id": "dup"}},
    {"json": {"duplicate": True}},
    {"json": {"success": True, "id": 5}},
    {"json": {"success": True, "id": ""}},
    {"json": {"success": "yes", "id": "x"}},
    {"json": []},
    {"text": "<html>"},
    {"text": ""},
    {"raise": "ConnectionError"},
    {"raise": "Timeout"},
    *({"status": code, "json": {}} for code in (401, 402, 403, 404, 409, 413, 423, 429, 500, 503)),
)
ANNOTATIONS = (
    {"json": {"success": False}},
    {"json": {"error": "x"}},
    {"json": {"success": True, "error": "x"}},
    {"json": {}},
    {"text": ""},
    {"text": "<html>"},
    {"raise": "ConnectionError"},
    {"raise": "Timeout"},
    *({"status": code, "json": {}} for code in (400, 401, 403, 404, 409, 413, 429, 500, 503)),
)


def e2e(random):
    kind = random.choice((*TASKS, "classification"))
    inside = maybe(random, 0.6)
    made = {
        "config": _collection(random),
        "prediction_type": kind,
        "server": {},
        "frames": list(_frames(random, kind, inside=inside)),
    }
    if maybe(random, 0.3):
        most = random.choice((1, 2, 3, 5, 10, 0))
        made["config"]["batching_strategy"]["max_batch_images"] = most
        made["server"] = _shelf(random)
    return made


def _collection(random):
    entries = random.sample(
        (
            {
                "name": "hard",
                "type": "close_to_threshold",
                "threshold": 0.5,
                "epsilon": 0.1,
                "probability": 1.0,
            },
            {
                "name": "many",
                "type": "detections_number_based",
                "more_than": 1,
                "less_than": None,
                "probability": 1.0,
            },
            {
                "name": "rare",
                "type": "classes_based",
                "selected_class_names": ["dog"],
                "probability": 1.0,
            },
            {
                "name": "all",
                "type": "random",
                "traffic_percentage": random.choice((1.0, 1.0, 0.0)),
            },
        ),
        random.randint(1, 3),
    )
    for entry in entries:
        if maybe(random, 0.5):
            entry["tags"] = [f"{entry['name']}-tag"]
        if maybe(random, 0.75):
            rules = [{"type": random.choice(PERIODS), "value": random.randint(1, 4)}]
            if maybe(random, 0.3):
                rules = [{"type": "minutely", "value": 1}, {"type": "daily", "value": 3}]
            entry["limits"] = rules
    made = {
        "enabled": not maybe(random, 0.02),
        "persist_predictions": maybe(random, 0.8),
        "sampling_strategies": entries,
        "batching_strategy": {
            "batches_name_prefix": random.choice(("al", "al", "al batch/ü")),
            "recreation_interval": random.choice(INTERVALS),
        },
    }
    if maybe(random, 0.4):
        sizes = ([48, 37], [50, 200], [64, 64], [60, 80], [60, 60], [37, 41], [1, 200])
        made["max_image_size"] = list(random.choice(sizes))
    if maybe(random, 0.4):
        made["tags"] = random.choice((["line-1"], ["a", "b"], []))
    if maybe(random, 0.05):
        made |= {"target_project": "other", "target_workspace": "ws2"}
    return made


def _frames(random, kind, *, inside):
    moment = datetime.fromisoformat(
        random.choice(
            (
                "2024-03-05T13:58:30",
                "2024-12-31T23:58:50",
                "2025-01-01T00:58:50",
                "2024-03-05T14:58:30",
            )
        )
    )
    for _ in range(random.randint(1, 6)):
        moment += timedelta(seconds=random.choice((0, 1, 5, 29, 60, 61, 60, 3600)))
        height, width = random.choice(((120, 160), (200, 50), (64, 64), (60, 60), (97, 131)))
        frame = {
            "t": moment.isoformat(),
            "h": height,
            "w": width,
            "prediction": _seen(random, kind, height, width, inside=inside),
        }
        if maybe(random, 0.22):
            frame["upload"] = dict(random.choice(UPLOADS))
        elif maybe(random, 0.1):
            frame["annotate"] = dict(random.choice(ANNOTATIONS))
        if maybe(random, 0.1):
            frame["inference_id"] = "inf-1"
        yield frame


def _seen(random, kind, height, width, *, inside):
    if maybe(random, 0.05):
        return random.choice(({"is_stub": True}, {"is_stub": True}, {}))
    scores = (0.3, 0.5, 0.55, 0.6, 0.9, round(confidence(random, ()), 2))
    names = CLASSES[:2]
    image = {"width": width, "height": height}
    if "classification" in kind:
        entries = [(name, min(1.0, max(0.0, random.choice(scores)))) for name in names]
        entries.sort(key=lambda pair: -pair[1])
        if maybe(random, 0.5):
            listed = [{"class": name, "confidence": score} for name, score in entries]
            top, best = entries[0]
            return {"predictions": listed, "top": top, "confidence": best, "image": image}
        return {
            "predictions": {name: {"confidence": score} for name, score in entries},
            "predicted_classes": [name for name, score in entries if score >= 0.5],
            "image": image,
        }
    listed = []
    for _ in range(random.randrange(4)):
        far = 1 if inside else 12
        entry = {
            "x": float(random.randrange(int(width * far))),
            "y": random.randrange(int(2 * height * far)) / 2,
            "width": 10.0,
            "height": 8.0,
            "confidence": min(1.0, max(0.0, random.choice(scores))),
            "class": random.choice(names),
        }
        if kind == "instance-segmentation":
            entry["points"] = [{"x": 1.5, "y": 3.0}]
        if kind == "keypoint-detection":
            entry["keypoints"] = [{"x": 1.5, "y": 3.0, "class": "nose", "confidence": 0.9}]
        listed.append(entry)
    return {"predictions": listed, "image": image}


def _shelf(random):
    if maybe(random, 0.08):
        replies = ({"json": {"x": 1}}, {"status": 500, "json": {}}, {"raise": "ConnectionError"})
        return {"batches": [], "jobs": [], "batches_reply": dict(random.choice(replies))}
    batches = [
        {
            "name": "al",
            "numJobs": random.randrange(2),
            "images": random.randrange(6),
            "id": "B1",
        },
        {"name": "al_2024_03_05", "numJobs": 1, "images": 2, "id": "B2"},
    ]
    jobs = [
        {"sourceBatch": "ws/B1", "numImages": random.randrange(5)},
        {"sourceBatch": "ws/B2", "numImages": random.randrange(3)},
    ]
    return {"batches": batches, "jobs": jobs}
