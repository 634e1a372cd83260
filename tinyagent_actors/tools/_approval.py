"""Approval: a call that may not run before somebody has said yes.

Whether a call needs it, its tool says: always, or by a function of the arguments. Then the call is parked *before it runs*: after the
hooks, with the arguments as the tool would get them. It holds nothing meanwhile but its place: the stream of its turn is closed,
so no slot of a provider is taken; its clock stands, with those of its turn and run and of every agent that waits for them along the asks; siblings go on,
on their own time. A human's hour is so nobody's timeout. What a plain cancel scope of a caller's allows is not ours to extend.

Every way out of it but a yes ends in a call that did not run: denied (with a reason for the model to read), no answer
within `approval_timeout` (denied too), a function that raises (an error result: who cannot say whether it is dangerous has not said
that it is not), a cancel (as of any call; nothing is left in the registry).

Bound to what was shown. The request has a hash over tool, arguments and path. When the yes has come the hash is taken again,
over what is about to run: where something has changed the arguments in the meantime, the call does not run.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs
import trio

from tinyagent_actors._errors import SpecError
from tinyagent_actors.actors import Clock
from tinyagent_actors.messages import AgentToolResult, TextContent

if TYPE_CHECKING:
    from tinyagent_actors.tools._execution import Execution

APPROVAL_TIMEOUT: Final = 3600.0
"""Seconds that a call waits to be approved; then it is denied."""

Approval: TypeAlias = Literal["always"] | Callable[[Mapping[str, Any]], bool | Awaitable[bool]] | None
"""Whether calls need approval: always, never (None), or what a plain or async function of the arguments says."""


def check_approval(_options: object, _field: attrs.Attribute[Any], value: object) -> None:
    """Refuse what says nothing about approval.

    Raises:
        SpecError: With the name of the option.
    """
    if value is not None and value != "always" and not callable(value):
        raise SpecError("approval", f"must be 'always', a function of the arguments, or None, is {value!r}")


async def wait_for_approval(execution: Execution, arguments: Mapping[str, Any]) -> AgentToolResult | None:
    """Park a call whose tool wants it, until somebody has answered. No checkpoint where it needs no approval.

    Cancelling it takes the request back: nothing of it is left, and an answer that comes then is an error of whoever gives it.

    Returns:
        None if it may run; else the result that says why it did not.

    Raises:
        Exception: What the tool's function of the arguments raises.
    """
    wanted = execution.tool.options.approval
    if wanted is None or not (wanted == "always" or await _says(wanted, arguments)):
        return None
    batch, clock, seconds = execution.batch, execution.scope.clock, execution.tool.options.approval_timeout
    shown = _canonical(arguments)
    digest = _digest(batch.path, execution.tool.name, shown)
    parked = batch.runtime.approvals.park(
        batch.path,
        execution.tool.name,
        json.loads(shown),
        digest,
        run=batch.run,
        turn=batch.turn,
        tool_call_id=execution.call.id,
        waiting=_paths(clock),
        seconds=seconds,
        cause=batch.cause,
    )
    try:
        with clock.paused(), trio.move_on_after(seconds):
            await parked.wait()
            await trio.lowlevel.checkpoint()  # a cancel that came with the answer has to be forwarded to this scope
        parked.settle("timed_out")
    finally:
        parked.settle("cancelled")
    if parked.decision == "timed_out":
        return _refused(f"nobody answered within {seconds:g} s")
    if parked.decision == "denied":
        return _refused(parked.reason or "no reason was given")
    if _digest(batch.path, execution.tool.name, _canonical(arguments)) != digest:
        return _refused("its arguments are no longer those that were approved")
    return None


async def _says(wanted: Callable[[Mapping[str, Any]], Any], arguments: Mapping[str, Any]) -> bool:
    said = wanted(arguments)
    if inspect.isawaitable(said):
        said = await said
    if not isinstance(said, bool):
        message = f"approval= must say True or False, said {type(said).__name__}"
        raise TypeError(message)
    return said


def _refused(why: str) -> AgentToolResult:
    return AgentToolResult((TextContent(f"denied: {why}; the tool did not run"),), is_error=True)


def _paths(clock: Clock) -> tuple[str, ...]:
    return tuple(above.path for above in clock.line() if above.name == "run" and above.path is not None)


def _canonical(arguments: Mapping[str, Any]) -> str:
    return json.dumps(dict(arguments), sort_keys=True, default=_plain)


def _plain(value: object) -> object:
    if attrs.has(type(value)):
        return attrs.asdict(value, recurse=False)  # type: ignore[arg-type]  # just checked
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    return str(value)


def _digest(path: str, tool_name: str, shown: str) -> str:
    return hashlib.sha256(json.dumps([path, tool_name, shown]).encode()).hexdigest()
