"""``tinyagent chat``: talk to one agent in the terminal. Esc and Ctrl-C interrupt the turn, not the agent."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import attrs
import click
import orjson
import trio

from tinyagent_actors._errors import EngineUnavailableError, SpecError, TinyAgentError, ValueShapeError
from tinyagent_actors.agents import AgentRef, AgentSpec
from tinyagent_actors.cli._chat_view import ChatView, JsonView, TextView
from tinyagent_actors.cli._options import check_log, model_of
from tinyagent_actors.cli._terminal import Terminal
from tinyagent_actors.events import ApprovalRequestedEvent, MessageUpdateEvent, TextDelta
from tinyagent_actors.messages import AssistantMessage, Model
from tinyagent_actors.providers import Engine, StreamOptions, best_engine
from tinyagent_actors.system import System, open_system, run
from tinyagent_actors.tools import Tool
from tinyagent_actors.tools.library import file_tools, shell_tool

EPILOG: Final = """\b
Examples:
  tinyagent chat --model openrouter:anthropic/claude-sonnet-4.6
  tinyagent chat --base-url http://127.0.0.1:11434/v1 --model qwen3:8b --root .
  echo "How many files?" | tinyagent chat --model openai:gpt-5.2 --root src
  tinyagent chat --model openai:gpt-5.2 --root . --write --shell
"""
_ESCAPE: Final = b"\x1b"
_END: Final = b"\x04"
_ERASE: Final = (b"\x7f", b"\x08")
_ENTER: Final = (b"\r", b"\n")
_LONGEST_STEERING: Final = 100_000
"""Bytes that are kept of what is typed during a turn."""
_NOBODY: Final = "nobody is there who could approve it"


@attrs.define(eq=False)
class Chat:
    """One conversation."""

    spec: AgentSpec
    view: ChatView
    terminal: Terminal
    log: Path | None
    asks: bool
    """Whether there is somebody who can be asked to approve a call."""
    approves_all: bool = False
    """Whether calls that want approval just run."""
    has_failed: bool = attrs.field(default=False, init=False)
    """Whether the latest turn ended in an error."""
    _system: System | None = attrs.field(default=None, init=False)
    _typed: bytearray = attrs.field(factory=bytearray, init=False)
    """What was typed during the turn, and not sent yet."""
    _asked: list[str] = attrs.field(factory=list, init=False)
    """Ids of the calls that wait for a yes or a no; a key answers the first."""
    _is_over: bool = attrs.field(default=False, init=False)
    """Whether Ctrl-D was typed during a turn: it is the last one."""

    async def run(self) -> None:
        """Converse until the input ends, or Ctrl-C comes twice while nothing goes on."""
        async with open_system("chat", log=self.log) as self._system:
            agent: AgentRef = await self._system.start_child(self.spec)
            with trio.open_signal_receiver(signal.SIGINT) as signals:
                self.view.greet(self.spec.model, tuple(tool.name for tool in self.spec.tools))
                while not self._is_over and (line := await self._next_line(signals)) is not None:
                    if line.strip():
                        await self._turn(agent, line, signals)
                self.view.end()

    async def _next_line(self, signals: AsyncIterator[int]) -> str | None:
        """Wait for what is said next; None if nothing will be."""
        self.view.prompt()
        line: str | None = None
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                nonlocal line
                line = await self.terminal.read_line()
                nursery.cancel_scope.cancel()

            async def leave() -> None:
                await anext(signals)
                self.view.note("(Ctrl-C once more, or Ctrl-D, leaves)")
                self.view.prompt()
                await anext(signals)
                nursery.cancel_scope.cancel()

            nursery.start_soon(read)
            nursery.start_soon(leave)
        return line

    async def _turn(self, agent: AgentRef, line: str, signals: AsyncIterator[int]) -> None:
        """Have one prompt answered, while keys and Ctrl-C are heard. What ends the turn is told, and ends nothing else."""
        with self.terminal.keys():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._hear_signals, agent, signals)
                if self.terminal.is_interactive:
                    nursery.start_soon(self._hear_keys, agent)
                try:
                    answer = await self._read(agent, line)
                except TinyAgentError as error:
                    self.has_failed = True
                    self.view.failed(error)
                else:
                    self.has_failed = answer.error is not None
                    self.view.answered(answer)
                nursery.cancel_scope.cancel()
        self._asked.clear()
        if self._typed:
            self.view.note(f"not sent: {bytes(self._typed).decode('utf-8', 'replace')}")
            self._typed.clear()

    async def _read(self, agent: AgentRef, line: str) -> AssistantMessage:
        async with agent.stream(line) as events:
            async for event in events:
                if isinstance(event, MessageUpdateEvent) and isinstance(event.assistant_message_event, TextDelta):
                    self.view.text(event.assistant_message_event.text)
                elif isinstance(event, ApprovalRequestedEvent):
                    self._ask(event)
                else:
                    self.view.tell(event)
            return await events.result()

    async def _hear_signals(self, agent: AgentRef, signals: AsyncIterator[int]) -> None:
        async for _ in signals:
            self.view.note("interrupting (Ctrl-C)")
            await agent.interrupt("Ctrl-C")

    async def _hear_keys(self, agent: AgentRef) -> None:
        while key := await self.terminal.read_key():
            if key == _ESCAPE:
                self.view.note("interrupting (Esc)")
                await agent.interrupt("Esc")
            elif key == _END:
                self._is_over = True
                self.view.note("leaving after this turn (Ctrl-D)")
            elif key.startswith(_ESCAPE):
                continue  # an arrow, a function key
            elif self._asked:
                self._answer(key)
            elif key in _ENTER:
                self._steer(agent)
            elif key in _ERASE:
                del self._typed[-1:]
            elif len(self._typed) < _LONGEST_STEERING:
                self._typed += key

    def _steer(self, agent: AgentRef) -> None:
        text = bytes(self._typed).decode("utf-8", "replace").strip()
        self._typed.clear()
        if text:
            agent.steer(text)
            self.view.note(f"steering: {text}")

    def _ask(self, event: ApprovalRequestedEvent) -> None:
        assert self._system is not None, "a run goes on"
        if self.approves_all:
            self._system.approve(event.approval)
        elif not self.asks:
            self._system.deny(event.approval, _NOBODY)
        else:
            self._asked.append(event.approval)
            self.view.ask(event)

    def _answer(self, key: bytes) -> None:
        """Take a yes or a no to the call that has waited longest; other keys are none."""
        assert self._system is not None, "a run goes on"
        if key.lower() not in (b"y", b"n"):
            return
        approval = self._asked.pop(0)
        try:
            if key.lower() == b"y":
                self._system.approve(approval)
            else:
                self._system.deny(approval, "the user said no")
        except TinyAgentError as error:  # it was too late
            self.view.failed(error)


@click.command("chat", epilog=EPILOG)
@click.option("--model", "model_name", help="provider:id, or with --base-url the id. The key: environment.")
@click.option("--base-url", help="An OpenAI-compatible endpoint, such as http://127.0.0.1:11434/v1.")
@click.option("--engine", type=click.Choice(["native", "httpx"]), help="Default: native where it is built.")
@click.option("--system", "system_prompt", default="", help="The system prompt.")
@click.option("--root", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Let it read files below.")
@click.option("--write", is_flag=True, help="Let it write files below --root, each time you say yes.")
@click.option("--shell", "has_shell", is_flag=True, help="Let it run commands in --root, each time you say yes.")
@click.option("--yes", "approves_all", is_flag=True, help="Say yes to all of these in advance.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON line for each answer.")
@click.option("--log", type=click.Path(dir_okay=False, path_type=Path), help="Append every event to it (JSON lines).")
def chat_command(
    model_name: str | None,
    base_url: str | None,
    engine: Engine | None,
    system_prompt: str,
    root: Path | None,
    write: bool,  # noqa: FBT001  # click passes options by name
    has_shell: bool,  # noqa: FBT001  # as above
    approves_all: bool,  # noqa: FBT001  # as above
    as_json: bool,  # noqa: FBT001  # as above
    log: Path | None,
) -> None:
    """Talk to one agent: a line is a prompt, its answer comes as it is made.

    Esc or Ctrl-C interrupts the turn; what came of the answer is kept and the agent stays. What you type during a turn, with
    Enter, steers it. Ctrl-D leaves. Where standard input is no terminal, each line is answered in turn; the exit code is 1
    if the last turn failed.
    """
    try:
        if log is not None:
            check_log(log)
        spec = AgentSpec(
            "agent",
            model=_model(model_name, base_url),
            system_prompt=system_prompt,
            tools=_tools(root, writes=write, has_shell=has_shell),
            options=StreamOptions(engine=engine or best_engine()),
            restart="transient",
        )
    except (ValueShapeError, SpecError, EngineUnavailableError) as error:
        raise click.UsageError(str(error)) from error
    terminal = Terminal()
    view: ChatView = JsonView(_print_line) if as_json else TextView(is_interactive=terminal.is_interactive)
    chat = Chat(spec, view, terminal, log, terminal.is_interactive and not as_json, approves_all)
    run(chat.run)
    sys.exit(1 if chat.has_failed else 0)


def _print_line(value: Any) -> None:
    click.echo(orjson.dumps(value))


def _model(name: str | None, base_url: str | None) -> Model:
    model = model_of(name, base_url)
    if model is None:
        raise SpecError("--model", "is needed: provider:id, or with --base-url the model's id")
    return model


def _tools(root: Path | None, *, writes: bool, has_shell: bool) -> tuple[Tool, ...]:
    """Give the tools: those that only read files as they are, those that change something with approval."""
    if root is None:
        if writes or has_shell:
            raise SpecError("--root", "is needed with --write and --shell")
        return ()
    files = file_tools(root)
    tools = tuple(one for one in files if one.options.effect == "read")
    if writes:
        tools += tuple(map(_approved, (one for one in files if one.options.effect != "read")))
    return (*tools, _approved(shell_tool(root))) if has_shell else tools


def _approved(one: Tool) -> Tool:
    return attrs.evolve(one, options=attrs.evolve(one.options, approval="always"))
