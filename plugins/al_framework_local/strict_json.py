"""Parse JSON as the standard means it: finite numbers only, and no depth that exhausts the stack.

`json.loads` alone accepts ``NaN`` and turns ``1e999`` into infinity, and so does pydantic-core.
"""

import json
import math
from typing import Any, NoReturn


def parse_json(data: bytes) -> Any:
    """Return the value that UTF-8 JSON text stands for.

    Raises:
        ValueError: The text is no JSON, nests too deeply, or holds a number that is not finite.
    """
    try:
        return json.loads(data, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as exc:
        raise ValueError("it nests too deeply") from exc


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it holds {constant}, which is no finite number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        _refuse(digits)
    return value
