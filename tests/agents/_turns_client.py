"""``python -m tests.agents._turns_client ENGINE URL PAIRS``: so many agents that each ask another one in a tool, all at once, twice.

Print what that took of the process, and what was left of it afterwards.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import trio
import trio.testing

from tinyagent_actors import AgentRef, AgentSpec, Model, StreamOptions, Timeouts, open_system, supervisor, tool
from tinyagent_actors.testing import assert_quiescent

_OF_THIS_PROCESS = Path("/proc/self")
KEPT = {"task": 1, "fd": 5}
"""So many threads and descriptors may be kept for the next run."""


def taken() -> dict[str, int]:
    """Count threads and descriptors."""
    return {name: len(list((_OF_THIS_PROCESS / name).iterdir())) for name in ("task", "fd")}


def tasks() -> int:
    """Count the tasks of Trio."""
    found, below = 0, [trio.lowlevel.current_root_task()]
    while below:
        task = below.pop()
        if task is not None:
            found += 1
            below += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return found


async def main(engine: Any, url: str, pairs: int) -> None:
    """Ask all upper agents at once; each waits in its tool until all are there, then asks its own lower one."""
    most: dict[str, int] = {}
    texts: list[str] = []
    waiting = 0
    all_there = trio.Event()
    options = StreamOptions(engine=engine, timeouts=Timeouts(connect=None))  # the machine may be busy
    model = Model("scripted", provider="custom", base_url=url)

    def upper(number: int) -> AgentSpec:
        @tool(timeout=600)
        async def ask_below() -> str:
            """Ask the agent below."""
            nonlocal waiting
            waiting += 1
            if waiting == pairs:
                most.update(taken())
                all_there.set()
            await all_there.wait()
            return (await team.child(f"lower-{number}", AgentRef).ask("go")).text

        return AgentSpec(f"upper-{number}", model=model, tools=[ask_below], options=options)

    async def ask(number: int) -> None:
        texts.append((await team.child(f"upper-{number}", AgentRef).ask("go")).text)

    before = tasks()
    async with open_system() as system:
        lower = [AgentSpec(f"lower-{number}", model=model, options=options) for number in range(pairs)]
        team = await system.start_child(
            supervisor("team", children=[*lower, *(upper(number) for number in range(pairs))])
        )
        for _ in range(2):
            waiting, all_there = 0, trio.Event()
            async with trio.open_nursery() as nursery:
                for number in range(pairs):
                    nursery.start_soon(ask, number)
    assert_quiescent(system)
    await trio.testing.wait_all_tasks_blocked()  # it has begun a task itself
    told = {"most": most, "texts": len(texts), "distinct": sorted(set(texts)), "left": system.leftovers().total}
    sys.stdout.write(json.dumps(told | {"tasks": tasks() - before}))


if __name__ == "__main__":
    at_first = taken()
    trio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]))
    gc.collect()
    deadline = time.monotonic() + 30
    while (
        any((at_last := taken())[name] > at_first[name] + KEPT[name] for name in KEPT) and time.monotonic() < deadline
    ):
        time.sleep(0.05)  # threads of the engine may still be closing, and Trio keeps idle ones for a while
    sys.stdout.write("\n" + json.dumps({"before": at_first, "after": at_last}))
