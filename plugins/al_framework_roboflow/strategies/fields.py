"""Kinds of options that several strategies have.

Strict, since YAML makes strings and booleans out of slips of the pen; whole numbers are fine.
"""

from typing import Annotated, TypeAlias

from pydantic import Field, StrictStr

Fraction: TypeAlias = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
# A plain string is refused; upstream takes it apart into letters.
ClassNames: TypeAlias = tuple[StrictStr, ...]
