"""A proxy server on loopback that speaks the protocol: HTTP from h11, events as Server-Sent Events with members in camel case."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import attrs
import h11
import trio

from tinyagent_actors.events import structure_message
from tinyagent_actors.messages import Context, Model, ToolDefinition
from tinyagent_actors.providers import StreamOptions, open_stream

TOKEN = "the-proxy's-token"
Send: TypeAlias = Callable[[Mapping[str, Any] | bytes], Awaitable[None]]
Handler: TypeAlias = Callable[[dict[str, Any], Send], Awaitable[None]]


@attrs.define(eq=False)
class ProxyServer:
    """What it was asked."""

    url: str
    requests: list[dict[str, Any]] = attrs.field(factory=list)
    """``path``, ``headers`` and ``body`` of each."""
    left: trio.Event = attrs.field(factory=trio.Event)
    """Set when a client has gone in the middle of an answer."""


@asynccontextmanager
async def open_proxy(handler: Handler) -> AsyncIterator[ProxyServer]:
    """Serve ``/api/stream``; the handler is given the body of each request and sends events (or bytes, as they are)."""
    server = ProxyServer("")
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, partial(_serve, server, handler), 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        server.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        yield server
        nursery.cancel_scope.cancel()


async def _serve(server: ProxyServer, handler: Handler, stream: trio.SocketStream) -> None:
    connection = h11.Connection(h11.SERVER)
    async with stream:
        try:
            head, body = await _read(connection, stream)
            headers = {name.decode(): value.decode() for name, value in head.headers}
            server.requests.append({"path": head.target.decode(), "headers": headers, "body": json.loads(body)})
            await _answer(connection, stream, handler, server.requests[-1])
        except trio.BrokenResourceError:
            server.left.set()


async def _read(connection: h11.Connection, stream: trio.SocketStream) -> tuple[h11.Request, bytes]:
    head, body = None, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some())
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        else:
            assert head is not None
            return head, body


async def _answer(
    connection: h11.Connection, stream: trio.SocketStream, handler: Handler, request: dict[str, Any]
) -> None:
    async def send(event: Any) -> None:
        await stream.send_all(connection.send(event) or b"")

    if request["headers"].get("authorization") != f"Bearer {TOKEN}":
        await send(h11.Response(status_code=401, headers=[("content-type", "application/json")]))
        await send(h11.Data(data=b'{"error": "who are you?"}'))
        await send(h11.EndOfMessage())
        return
    await send(h11.Response(status_code=200, headers=[("content-type", "text/event-stream")]))

    async def say(event: Mapping[str, Any] | bytes) -> None:
        data = event if isinstance(event, bytes) else f"data: {json.dumps(event)}\n\n".encode()
        await send(h11.Data(data=data))

    await handler(request["body"], say)
    await send(h11.EndOfMessage())


def says(*events: Mapping[str, Any] | bytes) -> Handler:
    """Make a handler that sends these, and ends."""

    async def handler(_: dict[str, Any], say: Send) -> None:
        for event in events:
            await say(event)

    return handler


def relay_to(base_url: str) -> Handler:
    """Make a handler that asks a provider at that URL and passes on what it says."""

    async def handler(body: dict[str, Any], say: Send) -> None:
        told, options = body["context"], body["options"]
        context = Context(
            told["system_prompt"],
            [structure_message(message) for message in told["messages"]],
            [ToolDefinition(**tool) for tool in told["tools"]],
        )
        ours = StreamOptions(
            engine="httpx", temperature=options.get("temperature"), max_tokens=options.get("maxTokens")
        )
        async with open_stream(Model(base_url=base_url, **body["model"]), context, ours) as stream:
            await say({"type": "start"})
            async for event in stream:
                for said in _in_camel_case(event):
                    await say(said)

    return handler


def _in_camel_case(event: Any) -> list[dict[str, Any]]:
    kind = event.type.replace("tool_call", "toolcall")
    if kind == "stream_start":
        return []
    if kind == "stream_end":
        message = event.message
        usage = None if message.usage is None else {"input": message.usage.input, "output": message.usage.output}
        if message.error is not None:
            return [{"type": "error", "reason": "error", "errorMessage": message.error_message, "usage": usage}]
        return [{"type": "done", "reason": message.stop_reason, "usage": usage}]
    said = {"type": kind, "contentIndex": event.content_index}
    if kind.endswith("_delta"):
        return [{**said, "delta": event.text}]
    if kind == "toolcall_end":
        # Our own stream knows a call's name at its end; the protocol says it at the start.
        head = {"id": event.tool_call.id, "toolName": event.tool_call.name}
        return [{**said, "type": "toolcall_start", **head}, said]
    return [said]
