"""The reference: the least that can be written straight on httpx under Trio.

One client, ``aiter_bytes``, split at blank lines, ``json.loads``, 20 connections kept alive. It checks nothing, cancels
nothing, times nothing out and publishes nothing; it does send the same requests and read the same tokens.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import trio

from benchmarks._child import run_timed

TOOL_NAMES = ("count_words", "count_letters")


def tool_schemas() -> list[dict[str, Any]]:
    """Give the tools of a request, as the agent's are."""
    schema = {
        "type": "object",
        "properties": {"text": {"type": "string", "description": "What to count."}},
        "required": ["text"],
        "additionalProperties": False,
    }
    return [
        {"type": "function", "function": {"name": name, "description": "Count.", "parameters": schema}}
        for name in TOOL_NAMES
    ]


async def _count(arguments: str) -> str:
    return str(len(json.loads(arguments)["text"]))


async def stream_once(client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> tuple[str, list[dict[str, str]]]:
    """Make one request; give its text and its tool calls."""
    texts: list[str] = []
    calls: dict[int, dict[str, str]] = {}
    tail = b""
    async with client.stream("POST", url, json=body) as response:
        async for piece in response.aiter_bytes():
            *events, tail = (tail + piece).split(b"\n\n")
            for event in events:
                data = event[6:]
                if data == b"[DONE]":
                    continue
                for choice in json.loads(data)["choices"]:
                    delta = choice["delta"]
                    if content := delta.get("content"):
                        texts.append(content)
                    for part in delta.get("tool_calls") or ():
                        call = calls.setdefault(part["index"], {"id": "", "name": "", "arguments": ""})
                        call["id"] += part.get("id") or ""
                        call["name"] += part["function"].get("name") or ""
                        call["arguments"] += part["function"].get("arguments") or ""
    return "".join(texts), list(calls.values())


async def read_texts(client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> AsyncIterator[str]:
    """Make one request; give each token when it comes."""
    tail = b""
    async with client.stream("POST", url, json=body) as response:
        async for piece in response.aiter_bytes():
            *events, tail = (tail + piece).split(b"\n\n")
            for event in events:
                if event[6:] != b"[DONE]":
                    for choice in json.loads(event[6:])["choices"]:
                        yield choice["delta"].get("content") or ""


async def run_agent(client: httpx.AsyncClient, url: str) -> str:
    """Run the loop of an agent: ask, run the calls side by side, ask again, until there are none."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Count the words and the letters."},
    ]
    while True:
        body = {"model": "bench", "messages": messages, "stream": True, "tools": tool_schemas()}
        text, calls = await stream_once(client, url, body)
        if not calls:
            return text
        functions = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": call["arguments"]},
            }
            for call in calls
        ]
        messages.append({"role": "assistant", "content": text, "tool_calls": functions})
        results: dict[str, str] = {}

        async def run(call: dict[str, str], results: dict[str, str] = results) -> None:
            results[call["id"]] = await _count(call["arguments"])

        async with trio.open_nursery() as nursery:
            for call in calls:
                nursery.start_soon(run, call)
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": results[call["id"]]} for call in calls]


def make_client() -> httpx.AsyncClient:
    """Make the client of the reference."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    return httpx.AsyncClient(timeout=None, limits=limits)


async def agent_runs(base_url: str, at_once: str, rounds: str) -> None:
    """Time rounds of agent runs, so many at once."""
    async with make_client() as client:

        async def one() -> None:
            await run_agent(client, f"{base_url}/chat/completions")

        await _rounds(one, int(at_once), int(rounds))


async def streams(base_url: str, at_once: str, rounds: str) -> None:
    """Time rounds of streams, so many at once."""
    body = {"model": "bench", "messages": [{"role": "user", "content": "Go."}], "stream": True}
    async with make_client() as client:

        async def one() -> None:
            await stream_once(client, f"{base_url}/chat/completions", body)

        await _rounds(one, int(at_once), int(rounds))


async def _rounds(one: Any, at_once: int, rounds: int) -> None:
    async def a_round() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(at_once):
                nursery.start_soon(one)

    async def timed() -> None:
        for _ in range(rounds):
            await a_round()

    await run_timed(timed, warm_up=a_round)
