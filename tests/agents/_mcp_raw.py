"""An MCP server of the older protocol, made of nothing but JSON on lines, that misbehaves as it is told on its command line."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

MODE = sys.argv[1] if len(sys.argv) > 1 else "plain"
MEGABYTE = 1_000_000
STRING = {"type": "string"}
TOOLS: list[dict[str, Any]] = [
    {"name": "echo", "description": "Echo.", "inputSchema": {"type": "object", "properties": {"text": STRING}}}
]
if MODE == "unfit":
    TOOLS += [
        {"name": "far", "inputSchema": {"type": "object", "properties": {"x": {"$ref": "http://127.0.0.1:9/x.json"}}}},
        {"name": "wrong", "inputSchema": {"type": "object", "properties": {"x": {"type": 3}}}},
        {"name": "long", "inputSchema": {"type": "object", "description": "x" * 100_000}},
        {"name": "echo", "inputSchema": {"type": "object"}},
        {"name": "strange name/é", "inputSchema": {"type": "object"}},
        {"name": "n" * 200, "inputSchema": {"type": "object"}},
    ]
elif MODE == "many":
    TOOLS += [{"name": f"tool_{number}", "inputSchema": {"type": "object"}} for number in range(10_000)]


def send(message: dict[str, Any]) -> None:
    """Send one line."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def notify(method: str) -> None:
    """Send a notification."""
    send({"method": method})


def answer(number: Any, result: dict[str, Any]) -> None:
    """Answer a request."""
    send({"id": number, "result": result})


def say_much() -> None:
    """Say more than anybody wants to hear, in the modes that do."""
    match MODE:
        case "floods":
            for _ in range(20_000):
                notify("notifications/tools/list_changed")
        case "torrent":
            for _ in range(250):
                send({"method": "notifications/message", "params": {"level": "info", "data": "x" * MEGABYTE}})
        case "endless line":
            while True:  # until nobody reads it
                sys.stdout.write("x" * MEGABYTE)


def call(number: Any, text: str) -> None:
    """Do what a call is for in this mode."""
    say_much()
    match MODE:
        case "junk":
            sys.stdout.write("this is no message\n[1, 2]\n\n" * 3)
        case "long line":
            sys.stdout.write("x" * MEGABYTE)
            sys.stdout.flush()
            time.sleep(120)
        case "closes":
            os.close(1)
            time.sleep(120)
        case "wrong":
            answer(number, {"content": "no list"})
            return
        case "changes":
            TOOLS[:] = [{"name": "other", "description": "Other.", "inputSchema": {"type": "object"}}]
            notify("notifications/tools/list_changed")
        case "refuses":
            send({"id": number, "error": {"code": -32602, "message": "not like this"}})
            return
        case "strange content":
            blocks = [
                {"type": "image", "data": "AAAA", "mimeType": "image/png"},
                {"type": "resource", "resource": {"uri": "file:///a", "text": "in it"}},
                {"type": "resource_link", "uri": "file:///b", "name": "b"},
                {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"},
            ]
            answer(number, {"content": blocks, "structuredContent": {"a": 1}})
            return
    answer(number, {"content": [{"type": "text", "text": text}]})


def main() -> None:
    """Serve."""
    for line in sys.stdin:
        message = json.loads(line)
        number = message.get("id")
        match message.get("method"):
            case "initialize" if MODE == "deaf":
                continue
            case "initialize":
                capabilities = {"tools": {"listChanged": True}}
                info = {"name": "raw", "version": "1"}
                version = message["params"]["protocolVersion"]
                answer(number, {"protocolVersion": version, "capabilities": capabilities, "serverInfo": info})
            case "tools/list":
                answer(number, {"tools": TOOLS})
            case "tools/call":
                if MODE == "chatty":
                    token = message["params"]["_meta"]["progressToken"]
                    said = {"progressToken": token, "progress": 1, "message": "x" * MEGABYTE}
                    send({"method": "notifications/progress", "params": said})
                call(number, message["params"]["arguments"].get("text", ""))
            case "ping":
                answer(number, {})
            case _ if number is not None:
                send({"id": number, "error": {"code": -32601, "message": "no such method"}})
    if MODE == "stays":
        time.sleep(120)


if __name__ == "__main__":
    main()
