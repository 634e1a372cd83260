"""The actor of an MCP server: the one task that owns the session.

The design. The session is a block, and the actor's own task enters it and leaves it; so nothing is ever closed in another task than
opened it. Each call is an ask, answered later by a task of its own within that block; so a call that hangs holds nobody, and
a cancel, a deadline or a dead asker ends that call alone.

When the server goes (its process is killed, its line breaks, it answers nothing any more), the block is cancelled and the actor
fails with `McpServerError`, whose restart policy is a back-off. By the rules of actors the calls in hand fail at once with
`ActorDiedError`, those still queued wait for the next incarnation, each on its own deadline, and the agents go on offering the
tools that it had.

What the server sends is a stranger's. Lines are bounded (`StdioTransport`), so are its tools and their schemas (`make_tools`), its
results (as those of any tool) and its log (`McpLog`). Of notifications only one is heard, that the tools have changed; however many of
these come, the list is read again at most once in `RELIST` seconds. It may ask this side for nothing: no sampling, no roots.

A call that has taken too long may mean that the tool is slow, or that the server is dead and nobody can tell, as a
process that is stopped. So it is asked then whether it lives (`ping`); any answer will do, and none within `PING` seconds is an end.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from tinyagent_actors._errors import McpServerError, ValueShapeError
from tinyagent_actors._redact import redact_text
from tinyagent_actors.actors import ActorContext, ReplySlot
from tinyagent_actors.agents._mcp_log import McpLog
from tinyagent_actors.agents._mcp_stdio import StdioTransport
from tinyagent_actors.agents._mcp_tools import MOST_TOOLS, CallTool, make_tools, mcp_tools, to_tool_result
from tinyagent_actors.events import ToolListChangedEvent
from tinyagent_actors.messages import AgentToolResult, TextContent

if TYPE_CHECKING:
    from tinyagent_actors.agents._mcp_server import McpServer

PING: Final = 5.0
"""Seconds that a server has to say that it lives."""
RELIST: Final = 0.5
"""Seconds between two readings of the list of tools."""
LONGEST_PROGRESS: Final = 2000
"""Characters of what a server says of the progress of a call."""
_MARGIN: Final = 10.0
"""Seconds that a tool has beyond the time of its call: for a restart, and for the ping."""
_MOST_PAGES: Final = 64


@attrs.define(eq=False)
class McpActor:
    """The state of one incarnation."""

    ctx: ActorContext
    spec: McpServer
    environment: Mapping[str, str] = attrs.field(repr=False)
    failure: McpServerError | None = attrs.field(default=None, init=False)
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False, repr=False)
    _log: McpLog = attrs.field(init=False, repr=False)
    _limiter: trio.CapacityLimiter = attrs.field(init=False, repr=False)
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False, repr=False)
    _pinging: trio.Lock = attrs.field(factory=trio.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._log = McpLog(self.spec.name, self.ctx.path, self.ctx.runtime)
        self._limiter = trio.CapacityLimiter(self.spec.calls)

    async def serve(self) -> None:
        """Serve calls until the actor is stopped or the server goes."""
        try:
            with self._scope:
                async with self._client() as client:
                    await self._hold(client)
        except Exception as error:  # noqa: BLE001  # errors of the library of MCP, translated in this one place
            self.fail(f"failed: {_said(error)}", error)
        finally:
            self._log.close()
        if self.failure is not None:
            raise self.failure

    def fail(self, problem: str, cause: BaseException | None = None) -> None:
        """End this incarnation; the first problem stays."""
        error = McpServerError(self.spec.name, problem)
        error.__cause__ = cause
        self._fail(error)

    def _fail(self, error: McpServerError) -> None:
        if self.failure is None:
            self.failure = error
            self._scope.cancel(reason="the MCP server has gone")

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Any]:
        """Open the session."""
        from mcp import Client
        from mcp_types import Implementation

        info = Implementation(name="tinyagent-actors", version="1")
        async with (
            self._transport() as transport,
            Client(
                transport,
                cache=None,
                client_info=info,
                message_handler=self._hear,
                logging_callback=self._hear_log,
            ) as client,
        ):
            yield client

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Any]:
        if self.spec.command is not None:
            yield StdioTransport(
                self.spec.name,
                self.spec.command,
                self.environment,
                self.spec.cwd,
                self._log.add,
                self._fail,
                self._hear_change,
            ).connect()
            return
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        assert self.spec.url is not None  # one of the two is given
        timeout = httpx2.Timeout(self.spec.call_timeout, connect=PING)
        async with httpx2.AsyncClient(headers=dict(self.spec.headers), timeout=timeout) as http:
            yield streamable_http_client(self.spec.url, http_client=http)

    async def _hold(self, client: Any) -> None:
        await self._list(client)
        self.ctx.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow_changes, client)
            nursery.start_soon(self._listen, client)
            async for message in self.ctx.messages():
                slot = self.ctx.take_reply()
                if slot is None:
                    continue
                if isinstance(message, CallTool):
                    nursery.start_soon(self._call, client, message, slot)
                else:
                    slot.fail(ValueShapeError("message", "an MCP server is asked by its tools"))
            nursery.cancel_scope.cancel()

    async def _call(self, client: Any, call: CallTool, slot: ReplySlot) -> None:
        """Have a call answered. One that the server's end cuts off is left to the actor's end."""
        with trio.CancelScope() as scope:
            slot.on_withdraw(scope.cancel)
            async with self._limiter:
                result = None
                with trio.move_on_after(self.spec.call_timeout) as late:
                    result = await self._ask(client, call)
            if late.cancelled_caught:
                text = f"timed out: the MCP server {self.spec.name} gave no answer within {self.spec.call_timeout:g} s"
                slot.resolve(_error(text))
                await self._see_whether_it_lives(client)
            elif result is not None:
                slot.resolve(result)

    async def _ask(self, client: Any, call: CallTool) -> AgentToolResult | None:
        import httpx2
        from mcp import MCPError
        from mcp_types import CONNECTION_CLOSED

        async def progress(done: float, total: float | None, message: str | None) -> None:
            await trio.lowlevel.checkpoint()
            of = "" if total is None else f" of {total:g}"
            call.report(f"{done:g}{of}{': ' + message[:LONGEST_PROGRESS] if message else ''}")

        try:
            return to_tool_result(await client.call_tool(call.name, dict(call.arguments), progress_callback=progress))
        except MCPError as error:
            if error.error.code == CONNECTION_CLOSED:
                self.fail("closed the connection", error)
                return None
            return _error(f"the MCP server {self.spec.name} refused: {error.error.message[:2000]}")
        except (OSError, httpx2.TransportError) as error:
            self.fail(f"cannot be reached: {_said(error)}", error)
            return None
        except Exception as error:  # noqa: BLE001  # the tool runner, at its edge: what a stranger sends is a result
            return _error(f"the MCP server {self.spec.name} sent what is no answer: {_said(error)}")

    async def _see_whether_it_lives(self, client: Any) -> None:
        from mcp import MCPError
        from mcp_types import CONNECTION_CLOSED

        async with self._pinging:
            with trio.move_on_after(PING) as late:
                try:
                    await client.session.send_ping()
                except MCPError as error:
                    if error.error.code == CONNECTION_CLOSED:
                        self.fail("closed the connection", error)
                except Exception as error:  # noqa: BLE001  # it is judged, not handled
                    self.fail(f"cannot be reached: {_said(error)}", error)
        if late.cancelled_caught:
            self.fail(f"did not say within {PING:g} s that it lives")

    async def _list(self, client: Any) -> None:
        """Read the list of tools, and have it offered."""
        listed: list[Any] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            listed += page.tools
            cursor = page.next_cursor
            if cursor is None or len(listed) > MOST_TOOLS:
                break
        tools, refused = make_tools(
            listed,
            prefix=self.spec.tool_prefix,
            server=self.spec.registered,
            runtime=self.ctx.runtime,
            seconds=self.spec.call_timeout + _MARGIN,
        )
        mcp_tools(self.ctx.runtime).by_server[self.spec.name] = tools
        self.ctx.runtime.bus.publish(
            ToolListChangedEvent,
            self.ctx.path,
            server=self.spec.name,
            tools=tuple(tool.name for tool in tools),
            refused=refused,
        )

    async def _follow_changes(self, client: Any) -> None:
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            with trio.move_on_after(self.spec.call_timeout) as late:
                await self._list(client)
            if late.cancelled_caught:
                await self._see_whether_it_lives(client)
            await trio.sleep(RELIST)

    async def _listen(self, client: Any) -> None:
        """Hear of changes where the protocol has a stream of its own for them; where it has not, they come by themselves."""
        from mcp import MCPError
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost

        try:
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._changed.set()
        except (ListenNotSupportedError, SubscriptionLost, MCPError):
            return

    async def _hear(self, message: Any) -> None:
        """Hear a notification."""
        await trio.lowlevel.checkpoint()
        if getattr(message, "method", None) == "notifications/tools/list_changed":
            self._changed.set()

    def _hear_change(self) -> None:
        self._changed.set()

    async def _hear_log(self, params: Any) -> None:
        await trio.lowlevel.checkpoint()
        self._log.tell(f"{params.level}: {params.data}")


def _error(text: str) -> AgentToolResult:
    return AgentToolResult((TextContent(text),), is_error=True)


def _said(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {redact_text(str(error))[:500]}"


def _load() -> None:
    """Load the library of MCP, which takes seconds."""
    for name in ("mcp", "mcp.client.streamable_http", "mcp.client.subscriptions"):
        importlib.import_module(name)


async def run_mcp_server(ctx: ActorContext, spec: McpServer, environment: Mapping[str, str]) -> None:
    """Be an MCP server's actor: the body of what an `McpServer` describes."""
    await trio.to_thread.run_sync(_load)
    await McpActor(ctx, spec, environment).serve()
