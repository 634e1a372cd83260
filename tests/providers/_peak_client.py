"""``python -m tests.providers._peak_client CALL ENGINE WORD...``: call a function of `_endless`; print its result and by how many bytes the process grew."""

from __future__ import annotations

import resource
import sys

from tests.providers import _endless


def peak() -> int:
    """Give the largest resident size so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    call, engine, *words = sys.argv[1:]
    _endless.warm_up(engine)
    before = peak()
    found = getattr(_endless, call)(engine, *words)
    sys.stdout.write(f"{found} {peak() - before}")
