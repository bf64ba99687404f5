"""Make files of vectors: ``python making.py DIRECTORY --seed 1 --cases 1000 [KIND...]``.

It runs in an environment with the real Roboflow Inference, which answers every case. With
``--again RECORDED`` the cases are recorded ones as they are, and with ``--around RECORDED`` with
something in them spoiled.
"""

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from random import Random

os.environ.setdefault("DISABLE_VERSION_CHECK", "True")
os.environ.setdefault("TELEMETRY_OPT_OUT", "True")
sys.path.insert(0, str(Path(__file__).parent))

# What a case is about; the rest is how it was recorded.
SPOILED = {
    "strategies": ("strategies", "prediction", "prediction_type"),
    "batch_names": ("batches_name_prefix", "recreation_interval"),
    "downscale": ("max_image_size",),
    "rescale": ("prediction", "prediction_type"),
    "encode": ("prediction", "prediction_type"),
    "tags": ("env_tags", "tags", "strategies", "sampling_strategy", "model_id"),
    "forbidden": ("prediction", "persist_predictions"),
    "batch_accounting": ("max_batch_images", "batches", "jobs"),
    "config": ("config",),
}


def recorded(directory, kind):
    with (directory / f"{kind}.jsonl").open() as file:
        return [json.loads(line)["input"] for line in file]


def spoilt(cases, kind, random):
    from made_documents import spoiled

    case = dict(random.choice(cases))
    key = random.choice(SPOILED[kind])
    return case | {key: spoiled(random, case[key])}


def cases_of(kind, given):
    from made_cases import KINDS

    random = Random(f"{given.seed}/{kind}")
    if given.again:
        yield from recorded(given.again, kind)
    elif given.around:
        known = recorded(given.around, kind)
        yield from (spoilt(known, kind, random) for _ in range(given.cases))
    else:
        yield from (KINDS[kind](random) for _ in range(given.cases))


def main():
    from real_answers import KINDS

    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("kinds", nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--around", type=Path)
    parser.add_argument("--again", type=Path)
    given = parser.parse_intermixed_args()
    logging.disable(logging.CRITICAL)
    given.directory.mkdir(parents=True, exist_ok=True)
    for kind in given.kinds or (SPOILED if given.around else KINDS):
        with (given.directory / f"{kind}.jsonl").open("w") as file:
            for number, made in enumerate(cases_of(kind, given)):
                case = json.loads(json.dumps(made))  # no part of it is in it twice
                line = {
                    "id": f"{kind}-{given.seed}-{number:05}",
                    "input": case,
                    "expected": KINDS[kind](case),
                }
                file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
