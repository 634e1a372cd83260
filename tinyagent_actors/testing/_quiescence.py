"""assert_quiescent: nothing of a system is left.

It does not ask the system's own books, which may be wrong: tasks are sought in Trio's tree of tasks, and what may hold
somebody (a full mailbox, an open subscription) among the objects that live. Only threads, streams and processes are
counted where they are entered when they will not end.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import trio

from tinyagent_actors.actors import Cell, Mailbox, Runtime, current_place
from tinyagent_actors.system import System


def assert_quiescent(system: System, below: str = "/") -> None:
    """See that nothing of a system, or of a part of it, is left.

    After the block of `open_system` that is everything. Inside it, name the part that was stopped.

    Args:
        system: The system.
        below: A path: this actor, and what stands below it.

    Raises:
        AssertionError: Something is left; it says what, by name: a task, a sender that waits for room, a subscription, or
            what could not be ended.
    """
    top = "/" + below.strip("/")
    left = [*_tasks(system.runtime, top), *_senders(system.runtime, top), *_others(system, top)]
    if left:
        raise AssertionError(f"left of {top} in the system {system.name!r}: {'; '.join(sorted(left))}")


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")


def _tasks(runtime: Runtime, top: str) -> Iterator[str]:
    """Name the tasks of actors, and those that work for an actor or the system outside of the nurseries of their caller."""
    root, here = trio.lowlevel.current_root_task(), trio.lowlevel.current_task()
    assert root is not None  # there is one as long as a task runs
    system_nursery = trio.lowlevel.spawn_system_task(_nothing, name="assert_quiescent").parent_nursery
    waiting = [root]
    while waiting:
        task = waiting.pop()
        waiting += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
        place = task.context.get(current_place)
        if task is here or place is None or place.runtime is not runtime:
            continue
        if isinstance(place, Cell):
            if _is_below(place.path, top):
                yield f"the task {task.name!r} of {place.path}, incarnation {place.incarnation}"
        elif task.parent_nursery is system_nursery and top == "/":
            yield f"the task {task.name!r} of the system"


async def _nothing() -> None:
    """Be a system task: the way to find their nursery."""


def _senders(runtime: Runtime, top: str) -> Iterator[str]:
    for found in gc.get_objects():
        if type(found) is Mailbox and found.pacer is runtime.pacer and found.senders and _is_below(found.path, top):
            names = ", ".join(sorted(repr(task.name) for task in found.senders))
            yield f"senders that wait for room in the mailbox of {found.path}: {names}"


def _others(system: System, top: str) -> Iterator[str]:
    for name in system.leftovers().names:
        if top == "/" or any(_is_below(word, top) for word in name.split()):
            yield f"given up: {name}"
    if top == "/":
        for subscription in system.runtime.bus.subscriptions:
            yield f"the subscription {subscription.pattern!r}"
