"""Where the tests find files."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
GOLDEN = ROOT / "tests" / "golden"
QUICKSTART = CONFIGS / "quickstart.yaml"
# Data that a user's clone need not have.
SHARED = Path(os.environ.get("TF_FRCNN_SHARED", ROOT.parent / "shared"))
