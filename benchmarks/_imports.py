"""What importing the package costs, against what it stands on."""

from __future__ import annotations

import subprocess
import sys
import time

OURS = "import tinyagent_actors"
REFERENCE = "import trio, attrs, cattrs"


def import_seconds(statement: str) -> float:
    """Time a new interpreter that runs one statement, less one that runs none; the best of three."""
    return min(_once(statement) for _ in range(3)) - min(_once("pass") for _ in range(3))


def _once(statement: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - began
