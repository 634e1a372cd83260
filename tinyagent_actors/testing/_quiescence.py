"""assert_quiescent: nothing of a system is left.

It does not ask the system's own books, which may be wrong: tasks are sought in Trio's tree of tasks, and
senders that wait for room in a mailbox by what those tasks stand at. Only subscriptions, and the threads, streams and processes
that will not end, are counted where they are entered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
    here = trio.lowlevel.current_task()
    system_nursery = trio.lowlevel.spawn_system_task(_nothing, name="assert_quiescent").parent_nursery
    for task in _all_tasks():
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


def _all_tasks() -> Iterator[trio.lowlevel.Task]:
    root = trio.lowlevel.current_root_task()
    assert root is not None  # there is one as long as a task runs
    waiting = [root]
    while waiting:
        task = waiting.pop()
        waiting += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
        yield task


def _senders(runtime: Runtime, top: str) -> Iterator[str]:
    """Name those who wait for room in a mailbox, wherever they stand."""
    for task in _all_tasks():
        mailbox = _full_mailbox(task)
        if mailbox is not None and mailbox.pacer is runtime.pacer and _is_below(mailbox.path, top):
            yield f"a sender that waits for room in the mailbox of {mailbox.path}: {task.name!r}"


def _full_mailbox(task: trio.lowlevel.Task) -> Mailbox | None:
    """Give the mailbox at which a task waits for room: one of the coroutines that it stands in is `Mailbox.put`."""
    coroutine: Any = task.coro
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None and frame.f_code is Mailbox.put.__code__:
            mailbox: Mailbox = frame.f_locals["self"]
            return mailbox
        coroutine = getattr(coroutine, "cr_await", None)
    return None


def _others(system: System, top: str) -> Iterator[str]:
    for name in system.leftovers().names:
        if top == "/" or any(_is_below(word, top) for word in name.split()):
            yield f"given up: {name}"
    if top == "/":
        for subscription in system.runtime.bus.subscriptions:
            yield f"the subscription {subscription.pattern!r}"
