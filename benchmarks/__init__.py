"""Measurements, one module per question; run ``python -m benchmarks QUESTION``.

Each module has ``run(*, quick: bool) -> list[Row]``. Nothing here is a test: tests count decodes,
encodes and round trips, and never look at a clock.
"""
