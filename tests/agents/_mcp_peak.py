"""``python -m tests.agents._mcp_peak MODE``: call a tool of a server that says very much; print the result, and how far memory grew."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import trio

from tinyagent_actors import Backoff, McpServer, open_system
from tinyagent_actors.messages import ToolCall
from tinyagent_actors.tools import CallBatch


def peak_mb() -> float:
    """Give the most memory that this process ever had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


async def main(mode: str) -> None:
    """Call it once."""
    program = Path(__file__).with_name("_mcp_raw.py")
    server = McpServer("raw", command=[sys.executable, str(program), mode], backoff=Backoff(0.01, 0.05))
    async with open_system() as system:
        await system.start_child(server)
        tools = {tool.name: tool for tool in server.current_tools()}
        before = peak_mb()
        call = ToolCall("c", "raw_echo", {"text": "x"})
        batch = CallBatch((call,), tools, runtime=system.runtime, path="/a", run=1, turn=1)
        await batch.wait()
        sys.stdout.write(json.dumps({"text": batch.results()[0].text, "grown_mb": peak_mb() - before}))


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
