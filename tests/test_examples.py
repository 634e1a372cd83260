"""Every example and every program in the documentation runs, and prints what it says it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tinyagent_actors.testing import CallSpec, Reply, open_endpoint

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent


def run(program: Path | str, **environ: str) -> str:
    words = [str(program)] if isinstance(program, Path) else ["-c", program]
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def test_the_first_agent_of_the_readme() -> None:
    """The README's program answers."""
    (program,) = blocks("README.md", "python")

    assert run(program) == "Four.\n"


def test_the_counter() -> None:
    """The tutorial's first program prints what the tutorial says."""
    assert run(ROOT / "examples" / "counter.py") == blocks("docs/tutorial/first-team.md", "text")[0]


def test_the_team() -> None:
    """The tutorial's second program, too."""
    assert run(ROOT / "examples" / "team.py") == blocks("docs/tutorial/first-team.md", "text")[1]


def test_the_tutorial_shows_its_programs() -> None:
    """Every line of code on the page is a line of a program that runs."""
    programs = [(ROOT / "examples" / name).read_text() for name in ("counter.py", "team.py")]
    lines = {line.strip() for program in programs for line in program.splitlines()}
    shown = [line.strip() for block in blocks("docs/tutorial/first-team.md", "python") for line in block.splitlines()]

    assert [line for line in shown if line not in lines] == []


def test_writing_an_actor() -> None:
    """Every program of the how-to prints what the page says; so does the bank of counters."""
    page = "docs/how-to/write-an-actor.md"
    printed = [run(program) for program in blocks(page, "python")] + [run(ROOT / "examples" / "bank.py")]

    assert printed == blocks(page, "text")


def test_the_tree() -> None:
    """S25: what cannot be mended below is mended above; the program prints what the reference says."""
    assert run(ROOT / "examples" / "tree.py") == blocks("docs/reference/supervision.md", "text")[0]


def test_the_pool() -> None:
    """One worker crashes, and the work is done once; the page shows lines of the program, and what it prints."""
    page, program = "docs/how-to/share-work-in-a-pool.md", ROOT / "examples" / "pool.py"
    lines = program.read_text().splitlines()

    assert run(program) == blocks(page, "text")[0]
    assert [line for block in blocks(page, "python") for line in block.splitlines() if line not in lines] == []


@pytest.mark.parametrize(
    "page",
    [
        "bound-a-mailbox",
        "survive-a-poison-message",
        "approve-tool-calls",
        "cancel-and-deadlines",
        "choose-a-strategy",
        "use-anthropic",
        "cache-prompts",
        "use-minimax",
        "use-glm",
        "retry-and-fall-back",
        "move-from-tinyagent",
        "test-an-agent",
        "budgets",
        "agents-that-start-agents",
        "get-structured-output",
        "steer-and-follow-up",
        "use-hooks",
        "write-a-tool",
    ],
)
def test_how_to_pages(page: str) -> None:
    """S03, S61, S63, P73, P78: every program on the page prints what the page says."""
    path = f"docs/how-to/{page}.md"
    programs, said = blocks(path, "python"), blocks(path, "text")

    assert [run(program) for program in programs] == said


def test_using_a_proxy_or_a_private_ca() -> None:
    """The how-to's program prints what the page says."""
    page = "docs/how-to/use-a-proxy-or-a-private-ca.md"

    assert [run(program) for program in blocks(page, "python")] == blocks(page, "text")


@pytest.mark.parametrize("number", [0, 1])
def test_testing_a_tree(number: int) -> None:
    """The how-to's programs print what the page says; which seed it is that fails first is Trio's affair."""
    page = "docs/how-to/test-a-tree.md"
    printed, shown = run(blocks(page, "python")[number]), blocks(page, "text")[number]

    assert re.sub(r"(?i)(seed.)\d+", r"\1N", printed) == re.sub(r"(?i)(seed.)\d+", r"\1N", shown)


async def test_the_quick_start() -> None:
    """The seed's quick start runs against an endpoint that `OPENROUTER_BASE_URL` names."""
    script = [Reply(tool_calls=[CallSpec(name="sum", arguments={"a": 2, "b": 3})]), Reply(text="5")]
    async with open_endpoint(script) as endpoint:
        said = await trio.to_thread.run_sync(
            lambda: run(ROOT / "examples" / "quick_start.py", OPENROUTER_BASE_URL=endpoint.url, OPENROUTER_API_KEY="k")
        )

    assert said.splitlines()[-1] == "5"
    assert "Event: tool_execution_end" in said


def test_what_a_cancel_promises() -> None:
    """T05: the program of the explanation prints what the page says."""
    page = "docs/explanation/cancellation.md"

    assert [run(program) for program in blocks(page, "python")] == blocks(page, "text")


@pytest.mark.parametrize("page", ["how-to/choose-a-model", "how-to/use-local-servers", "reference/usage"])
def test_pages_of_models(page: str) -> None:
    """The program on the page prints what the page says."""
    path = f"docs/{page}.md"
    programs, said = blocks(path, "python"), blocks(path, "text")

    assert [run(program) for program in programs] == said
