"""The pages about tools: every program on them runs and prints what the page says."""

from __future__ import annotations

import pytest

from tests.test_examples import ROOT, blocks, run

pytestmark = pytest.mark.process


def test_everyday_tools() -> None:
    """The programs of the page, and the one whose lines it shows."""
    page = "docs/how-to/use-everyday-tools.md"
    *programs, shown = blocks(page, "python")
    example = ROOT / "examples" / "killable.py"

    assert [run(program) for program in programs] + [run(example)] == blocks(page, "text")
    assert shown in example.read_text()


def test_mcp_servers() -> None:
    """The server is killed in the middle, and the agent has its answer."""
    pytest.importorskip("mcp")
    page = "docs/how-to/use-mcp-servers.md"

    assert [run(program) for program in blocks(page, "python")] == blocks(page, "text")
