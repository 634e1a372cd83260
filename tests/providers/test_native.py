"""The native engine as a guest in this process: its threads, its credit, its ends. What providers do runs on every engine."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trio

from tests.providers.conftest import CONTEXT
from tinyagent_actors import _alchemy, open_system
from tinyagent_actors.actors import current_runtime
from tinyagent_actors.messages import Model
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.providers._pump import Pump
from tinyagent_actors.testing import ChatRequest, Delivery, Endpoint, Reply, open_endpoint

pytestmark = pytest.mark.native

NATIVE = StreamOptions(engine="native")
ROOT = Path(__file__).parent.parent.parent


async def ask(endpoint: Endpoint) -> str:
    """Read one answer whole."""
    async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, NATIVE) as stream:
        return (await stream.result()).text


def pump() -> Pump:
    """Give the pump of this run, which is there already."""
    return current_runtime().resource(Pump, lambda _: pytest.fail("nothing was opened yet"))


def run_program(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter of its own."""
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_one_runtime_and_one_thread_for_many_streams() -> None:
    """A hundred streams share one worker of the runtime; no thread waits for it, and there are no others."""
    done = run_program(
        "import pathlib, trio\n"
        "from tinyagent_actors import Context, Model, StreamOptions, UserMessage, open_stream\n"
        "from tinyagent_actors.testing import Delivery, Reply, open_endpoint\n"
        "reply = Reply(text='word ' * 200, chunk_size=5, delivery=Delivery(delay_between=0.01))\n"
        "async def ask(url):\n"
        "    model, context = Model('any', base_url=url), Context('', (UserMessage('hello'),))\n"
        "    async with open_stream(model, context, StreamOptions(engine='native')) as stream:\n"
        "        await stream.result()\n"
        "async def main():\n"
        "    async with open_endpoint(lambda _: reply) as endpoint, trio.open_nursery() as nursery:\n"
        "        for _ in range(100):\n"
        "            nursery.start_soon(ask, endpoint.url)\n"
        "        with trio.fail_after(30):\n"
        "            await endpoint.wait_for(lambda now: now.open_streams == 100)\n"
        "        names = [task.joinpath('comm').read_text().strip() for task in pathlib.Path('/proc/self/task').iterdir()]\n"
        "        print(len(names), sum(name.startswith('tinyagent-nat') for name in names))\n"
        "        nursery.cancel_scope.cancel()\n"
        "trio.run(main)\n"
    )

    assert (done.stdout, done.stderr) == ("2 1\n", "")


async def test_a_reader_that_stops_holds_its_server() -> None:
    """T29: nobody reads, so the hub holds one credit and the server what its sockets do not take; then all of it comes."""
    piece = "x" * 10_000
    reply = Reply(text=piece * 4000, chunk_size=len(piece))
    async with open_endpoint([reply]) as endpoint:
        async with open_stream(Model("any", base_url=endpoint.url), CONTEXT, NATIVE) as stream:
            await anext(stream)
            with trio.fail_after(30):
                await trio.testing.wait_all_tasks_blocked(0.1)  # the server too: nobody takes what it writes
            held = pump().statistics()
            assert (held["streams"], endpoint.statistics().served) == (1, 0)
            assert held["queued"] <= 64  # the credit of a stream
            with trio.fail_after(60):
                message = await stream.result()

    assert message.text == reply.text


def test_one_run_after_the_other_and_two_at_a_time() -> None:
    """Each `trio.run` has a hub of its own, and takes it along when it ends."""

    async def main() -> None:
        async with open_endpoint([Reply(text="hello")]) as endpoint:
            answers.append(await ask(endpoint))

    answers: list[str] = []
    trio.run(main)
    trio.run(main)
    threads = [threading.Thread(target=trio.run, args=(main,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert answers == ["hello"] * 4


def test_an_interpreter_that_exits_waits_for_no_stream() -> None:
    """A hub that was never closed, with a thread parked in it, does not hold the exit."""
    done = run_program(
        "import threading\n"
        "from tinyagent_actors._alchemy import Hub\n"
        "hub = Hub()\n"
        "threading.Thread(target=hub.next_batch, args=(1e9,), daemon=True).start()\n"
        "print('exits')\n"
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "exits\n", "")


def test_a_forked_child_is_refused_and_its_exit_is_clean() -> None:
    """The child has none of the threads: every call says so at once, nothing hangs, and the parent is not touched."""
    done = run_program(
        "import os, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "from tinyagent_actors._alchemy import Hub\n"
        "hub = Hub()\n"
        "calls = [lambda: hub.next_batch(60.0), hub.statistics, hub.close, lambda: hub.abort(1), lambda: hub.end(1),\n"
        "         lambda: hub.release(1, 1, 1), lambda: hub.open('http://127.0.0.1:1/', [], b'', api='openai-completions')]\n"
        "child = os.fork()\n"
        "for call in [] if child else calls:\n"
        "    try:\n"
        "        call()\n"
        "    except RuntimeError as error:\n"
        "        print(error, flush=True)\n"
        "if child:\n"
        "    print(os.waitpid(child, 0)[1], hub.statistics()['streams'])\n"
    )

    refused = "the native engine cannot be used in a forked child; make a new system there\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, refused * 7 + "0 0\n", "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "ftp://x"}, "the URL is not one that can be asked"),
        ({"headers": [("authorization", "Bearer s3cret\n")]}, 'the header "authorization" cannot be sent'),
        ({"api": "smoke-signals"}, 'the native engine does not speak "smoke-signals"'),
    ],
)
def test_what_cannot_be_asked_is_a_value_error(change: dict[str, object], words: str) -> None:
    """Bad input: the part that is wrong is named, and no value of it."""
    hub = _alchemy.Hub()
    request = {"url": "http://127.0.0.1:1/", "headers": [], "body": b"", "api": "openai-completions", **change}
    with pytest.raises(ValueError, match="the") as caught:
        hub.open(**request)  # type: ignore[arg-type]  # as a caller's mistake would have it

    assert str(caught.value) == words
    assert hub.statistics()["requests"] == 0
    hub.close()


async def test_connections_are_used_again() -> None:
    """One after the other over one connection: the rest of a body is read behind its end."""

    def policy(_: ChatRequest) -> Reply:
        return Reply(text="hello", framing="chunked")

    async with open_endpoint(policy) as endpoint:
        for _ in range(5):
            assert await ask(endpoint) == "hello"

        assert endpoint.statistics().accepted == 1


ASKING = (
    "import os, sys, threading, time, trio\n"
    "from tinyagent_actors import Context, Model, StreamOptions, UserMessage, open_stream\n"
    "from tinyagent_actors.testing import Delivery, Reply, open_endpoint\n"
    'forever = Reply(chunks=[b\'data: {"choices": [{"delta": {"content": "a"}}]}\\n\\n\'] * 9, delivery=Delivery(delay_between=9))\n'
    "def opened(endpoint):\n"
    "    model, context = Model('any', base_url=endpoint.url), Context('', (UserMessage('hello'),))\n"
    "    return open_stream(model, context, StreamOptions(engine='native'))\n"
    "async def ask():\n"
    "    async with open_endpoint([Reply(text='hello')]) as endpoint, opened(endpoint) as stream:\n"
    "        os.write(1, (await stream.result()).text.encode() + b'\\n')\n"  # in one write: a fork's neighbour writes, too
    "async def hang(begun):\n"
    "    async with open_endpoint([forever]) as endpoint, opened(endpoint) as stream:\n"
    "        await anext(stream)\n"
    "        begun()\n"
    "        await stream.result()\n"
)


@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        ("sys.exit(3)", 3, ""),
        ("raise KeyboardInterrupt", -2, "KeyboardInterrupt"),
        ("raise ValueError('a defect')", 1, "a defect"),
    ],
)
def test_a_run_that_ends_over_an_open_stream(ending: str, code: int, said: str) -> None:
    """N01: whatever ends the run, it ends at once, with nothing left and nothing said but its own error."""
    done = run_program(
        ASKING + f"def begun():\n    {ending}\n"
        "try:\n"
        "    trio.run(hang, begun)\n"
        "except BaseExceptionGroup as group:\n"
        "    error = group\n"
        "    while isinstance(error, BaseExceptionGroup):\n"
        "        error = error.exceptions[0]\n"
        "    raise error from None\n"
    )

    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Warning" not in done.stderr


def test_an_interpreter_that_exits_while_a_thread_reads() -> None:
    """N02: a run in a daemon thread, with its stream open and its pump waiting, does not hold the exit."""
    done = run_program(
        ASKING + "begun = threading.Event()\n"
        "threading.Thread(target=trio.run, args=(hang, begun.set), daemon=True).start()\n"
        "begun.wait(30)\n"
        "print('exits')\n"
    )

    assert (done.returncode, done.stdout) == (0, "exits\n")
    assert "panicked" not in done.stderr


def test_a_child_makes_an_engine_of_its_own() -> None:
    """N03: what the parent had is refused in the child; a new run there works, and the parent goes on."""
    done = run_program(
        ASKING + "import warnings\n"
        "warnings.simplefilter('ignore')\n"
        "trio.run(ask)\n"
        "child = os.fork()\n"
        "trio.run(ask)\n"
        "if child:\n"
        "    print(os.waitpid(child, 0)[1])\n"
        "else:\n"
        "    os._exit(0)\n"
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n" * 3 + "0\n", "")


async def test_the_engine_is_closed_with_its_system() -> None:
    """N04: the end of a system aborts what is open; the run's own engine, made after it, works."""
    endless = Reply(text="word " * 1000, chunk_size=5, delivery=Delivery(delay_between=0.02))
    async with open_endpoint([endless, Reply(text="hello")]) as endpoint:
        async with open_system():
            block = open_stream(Model("any", base_url=endpoint.url), CONTEXT, NATIVE)
            stream = await block.__aenter__()
            await anext(stream)
        with trio.fail_after(20):
            message = await stream.result()
            await endpoint.wait_for(lambda now: now.disconnects == 1)
        await block.__aexit__(None, None, None)

        assert message.error is not None
        assert (message.error.kind, message.error.message) == ("connection_error", "the engine was closed")
        assert await ask(endpoint) == "hello"
