"""Take orders on standard input, a line of JSON each, and answer each with one.

Orders: ``prepare`` a module's work under a number; ``run`` it so many times and tell the seconds;
tell its ``outcome``. An order that fails is answered with the traceback.
"""

import importlib
import json
import os
import sys
import time
import traceback
from typing import Any, TextIO

from benchmarks.peer import Work


def main() -> None:
    """Answer until there are no more orders."""
    # What the peer's packages print goes to standard error; the answers have the pipe alone.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        serve(answers)


def serve(answers: TextIO) -> None:
    """Carry out one order after the other."""
    works: dict[int, Work] = {}
    for line in sys.stdin:
        try:
            answer = _carry_out(json.loads(line), works)
        except Exception:  # noqa: BLE001 - whatever it is, the other side shows it and stops
            answer = {"failed": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _carry_out(order: dict[str, Any], works: dict[int, Work]) -> dict[str, Any]:
    number = order["number"]
    if order["order"] == "prepare":
        module = importlib.import_module(f"benchmarks.peer.{order['module']}")
        works[number] = module.prepare(**order["settings"])
        return {}
    if order["order"] == "outcome":
        return {"outcome": works[number].outcome()}
    call = works[number].call
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(order["calls"]):
        call()
    return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


if __name__ == "__main__":
    main()
