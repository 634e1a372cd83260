"""The compiled loopback endpoint, so that the server is not what is measured."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import trio

_BINARY = Path("target/release/examples/loopback_endpoint")


def build() -> None:
    """Build the endpoint (cached by cargo).

    Raises:
        RuntimeError: There is no cargo here.
    """
    cargo = shutil.which("cargo")
    if cargo is None:
        message = "the benchmarks need cargo, for the compiled endpoint"
        raise RuntimeError(message)
    subprocess.run(
        [cargo, "build", "--release", "--quiet", "-p", "tinyagent-core", "--example", "loopback_endpoint"], check=True
    )


def answering(base_url: str) -> int:
    """Ask an endpoint how many answers it is giving."""
    with urlopen(f"{base_url.removesuffix('/v1')}/") as told:  # noqa: S310  # of this machine
        return int(told.read())


async def until_nobody_is_answered(base_url: str) -> float:
    """Wait until an endpoint gives no answer any more; how long that took, seconds."""
    began = time.perf_counter()
    while answering(base_url):  # noqa: ASYNC110  # of another process
        await trio.sleep(0.005)
    return time.perf_counter() - began


@contextmanager
def running(*, tokens: int, pace_ms: float = 0.0, tools: int = 0, stamped: bool = False) -> Iterator[str]:
    """Run an endpoint while the block lasts.

    Yields:
        Its base URL.
    """
    command = [str(_BINARY), "--tokens", str(tokens), "--pace-ms", str(pace_ms), "--tools", str(tools)]
    command += ["--stamped"] if stamped else []
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)
