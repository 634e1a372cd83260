"""The demo on 3,000 small files, against a plain walk that reads them and makes the same requests.

Both are measured as whole processes, from the start of the interpreter to its end, and each has its loopback server inside. What
the demo sends is taken from a run of its own, against an endpoint that notes the size of each request and each answer.

The reference is the least that does the same reading and the same talking: one task under Trio that walks the folder, reads
and counts each file in place, then sends the bodies one after the other over one kept connection of an httpx client, to
a server that throws them away and answers with as many bytes. It has no agents, tools or supervisors, parses no answer and
writes no log. Its bodies are zeros: it pays for their transport, not for their making.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import trio

FILES = 3000
FOLDERS = 30


@contextmanager
def small_files() -> Iterator[str]:
    """Make the files while the block lasts, and a place for the log beside them."""
    with tempfile.TemporaryDirectory(prefix="tinyagent-bench-") as folder:
        top = Path(folder) / "files"
        for number in range(FILES):
            place = top / f"folder-{number % FOLDERS:02}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"file-{number:04}.txt").write_text(f"line {number} of some words\n" * (number % 40 + 1))
        yield str(top)


def demo_seconds(top: str, *options: str) -> float:
    """Time the command, to its one JSON object."""
    log = Path(top).with_name("log.jsonl")
    command = [sys.executable, "-m", "tinyagent_actors", "demo", top, "--json", "--log", str(log), *options]
    began = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300)
    seconds = time.perf_counter() - began
    log.unlink()
    report = json.loads(done.stdout)
    assert report["totals"]["files"] == FILES, report["totals"]
    return seconds


def sizes_of_demo(top: str, *options: str) -> list[tuple[int, int]]:
    """Give the bytes of body of each request of the demo, and of its answer, in order."""
    return trio.run(_sizes, top, options)


async def _sizes(top: str, options: tuple[str, ...]) -> list[tuple[int, int]]:
    from tinyagent_actors.cli._demo_policy import SurveyPolicy
    from tinyagent_actors.testing import Answered, open_endpoint

    sizes: list[tuple[int, int]] = []

    def note(answered: Answered) -> None:
        sizes.append((len(answered.request.body), answered.sent))

    async with open_endpoint(SurveyPolicy(), on_answer=note) as endpoint:
        to_endpoint = ("--base-url", endpoint.url, "--model", "survey-policy")
        await trio.to_thread.run_sync(partial(demo_seconds, top, *to_endpoint, *options))
    return sizes


def reference_seconds(top: str, sizes: list[tuple[int, int]]) -> float:
    """Time the reference, a process of its own."""
    command = [sys.executable, "-m", "benchmarks._demo", top]
    began = time.perf_counter()
    done = subprocess.run(command, input=json.dumps(sizes).encode(), stdout=subprocess.PIPE, check=True, timeout=300)
    seconds = time.perf_counter() - began
    assert json.loads(done.stdout) == [FILES, len(sizes)], done.stdout
    return seconds


async def _answer(sizes: dict[str, int], stream: trio.SocketStream) -> None:
    """Serve one connection: throw each body away, answer with as many bytes as its request says."""
    buffer = b""
    async with stream:
        while True:
            while b"\r\n\r\n" not in buffer:
                received = await stream.receive_some()
                if not received:
                    return
                buffer += received
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:])
            left = int(headers["content-length"]) - len(buffer)
            while left > 0:
                left -= len(await stream.receive_some())
            buffer = b""
            body = bytes(sizes[lines[0].split(" ")[1]])
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


def _walk(top: str) -> list[tuple[str, int, int, int]]:
    figures = []
    for folder, _, names in os.walk(top):
        for name in names:
            data = Path(folder, name).read_bytes()
            figures.append((name, len(data), data.count(b"\n"), len(data.split())))
    return figures


async def _walk_and_send(top: str, sizes: list[tuple[int, int]]) -> None:
    """Be the reference."""
    import httpx

    figures = _walk(top)
    answers = {f"/{number}": answer for number, (_, answer) in enumerate(sizes)}
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, partial(_answer, answers), 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        got = 0
        async with httpx.AsyncClient(base_url=url) as client:
            for number, (request, _) in enumerate(sizes):
                response = await client.post(f"/{number}", content=bytes(request))
                got += len(response.content) == answers[f"/{number}"]
        nursery.cancel_scope.cancel()
    print(json.dumps([len(figures), got]))


if __name__ == "__main__":
    trio.run(_walk_and_send, sys.argv[1], json.load(sys.stdin))
