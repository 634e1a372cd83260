"""How a chat is shown: text as it comes on a terminal or in a pipe, or a JSON line for each answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import attrs
import click
import orjson

from tinyagent_actors._errors import TinyAgentError
from tinyagent_actors.cli._survey import printable
from tinyagent_actors.events import (
    ApprovalRequestedEvent,
    Event,
    Gap,
    ToolExecutionEndEvent,
    ToolExecutionStartEvent,
    unstructure,
)
from tinyagent_actors.messages import AssistantMessage, Model

_LONGEST_ARGUMENT: Final = 80


class ChatView(Protocol):
    """Shows a conversation."""

    def greet(self, model: Model, tools: tuple[str, ...]) -> None:
        """Say who is there."""

    def prompt(self) -> None:
        """Say that it is the user's turn."""

    def text(self, text: str) -> None:
        """Show a piece of the answer."""

    def tell(self, event: Event | Gap) -> None:
        """Show what else happens."""

    def ask(self, event: ApprovalRequestedEvent) -> None:
        """Ask whether a call may run."""

    def note(self, text: str) -> None:
        """Show a word of the program's own."""

    def answered(self, answer: AssistantMessage) -> None:
        """Show how a turn ended."""

    def failed(self, error: TinyAgentError) -> None:
        """Show what ended a turn."""

    def end(self) -> None:
        """Say that it is over."""


@attrs.define(eq=False)
class TextView:
    """For people. What a model says cannot steer the terminal: control characters are shown as such."""

    is_interactive: bool = attrs.field(kw_only=True)
    _is_in_line: bool = attrs.field(default=False, init=False)
    """Whether the cursor stands behind something."""

    def greet(self, model: Model, tools: tuple[str, ...]) -> None:
        """Say who is there, to somebody who types."""
        if self.is_interactive:
            can = f" with {', '.join(tools)}" if tools else ""
            self._dim(f"{printable(model.id)}{can}. Esc or Ctrl-C interrupts a turn, Ctrl-D leaves.")

    def prompt(self) -> None:
        """Show the prompt, to somebody who types."""
        if self.is_interactive:
            self._begin_line()
            click.secho("> ", bold=True, nl=False)

    def text(self, text: str) -> None:
        """Show a piece of the answer."""
        if text:
            click.echo(_shown(text), nl=False)
            self._is_in_line = not text.endswith("\n")

    def tell(self, event: Event | Gap) -> None:
        """Show the calls of tools."""
        if isinstance(event, ToolExecutionStartEvent):
            self._dim(f"· {printable(event.tool_name)}({_arguments(event.args)})")
        elif isinstance(event, ToolExecutionEndEvent) and (event.is_error or event.outcome != "finished"):
            word = "failed" if event.outcome == "finished" else event.outcome.replace("_", " ")
            first = next((block.text for block in event.result.content if hasattr(block, "text")), "")
            self._dim(f"· {printable(event.tool_name)} {word}: {printable(first[:200])}")

    def ask(self, event: ApprovalRequestedEvent) -> None:
        """Ask for a key."""
        self._begin_line()
        click.secho(f"? {printable(event.tool_name)}({_arguments(event.arguments, whole=True)}) [y/n]", fg="yellow")

    def note(self, text: str) -> None:
        """Show a word of the program's own."""
        self._dim(f"[{printable(text)}]")

    def answered(self, answer: AssistantMessage) -> None:
        """End the answer's line; an error is told, and what was interrupted."""
        self._begin_line()
        if answer.error is not None:
            self.failed(answer.error)
        elif answer.stop_reason == "aborted":
            self._dim("[interrupted]")

    def failed(self, error: TinyAgentError) -> None:
        """Tell an error on standard error."""
        self._begin_line()
        click.secho(f"failed: {type(error).__name__}: {printable(str(error))}", err=True, fg="red")

    def end(self) -> None:
        """Leave the cursor at the beginning of a line."""
        if self.is_interactive:
            click.echo()

    def _dim(self, text: str) -> None:
        self._begin_line()
        click.secho(text, dim=True)

    def _begin_line(self) -> None:
        if self._is_in_line:
            click.echo()
        self._is_in_line = False


@attrs.define(eq=False)
class JsonView:
    """For programs: one line an answer, one a failure; nothing else."""

    _print: Callable[[Mapping[str, Any]], None]

    def greet(self, model: Model, tools: tuple[str, ...]) -> None:
        """Say nothing."""

    def prompt(self) -> None:
        """Say nothing."""

    def text(self, text: str) -> None:
        """Say nothing: the answer holds it."""

    def tell(self, event: Event | Gap) -> None:
        """Say nothing: the log holds it."""

    def ask(self, event: ApprovalRequestedEvent) -> None:
        """Say nothing: where a program reads, nobody is asked."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def answered(self, answer: AssistantMessage) -> None:
        """Print the answer."""
        self._print({"ok": answer.error is None, "text": answer.text, "message": unstructure(answer)})

    def failed(self, error: TinyAgentError) -> None:
        """Print the error."""
        self._print({"ok": False, "error": type(error).__name__, "text": str(error)})

    def end(self) -> None:
        """Say nothing."""


def _shown(text: str) -> str:
    return "".join(sign if sign in "\n\t" or sign.isprintable() else printable(sign) for sign in text)


def _arguments(arguments: Mapping[str, Any], *, whole: bool = False) -> str:
    shown = []
    for name, value in arguments.items():
        text = orjson.dumps(value, default=repr).decode()
        cut = text if whole or len(text) <= _LONGEST_ARGUMENT else f"{text[:_LONGEST_ARGUMENT]}..."
        shown.append(f"{name}={cut}")
    return printable(", ".join(shown))
