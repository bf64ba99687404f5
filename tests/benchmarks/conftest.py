"""The benchmarks are no part of what is installed: they are imported from the source tree."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))  # last: what is installed comes first
