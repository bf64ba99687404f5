"""What the tests of the documentation share: the pages, and the generator of the site."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))  # as docs/conf.py does
