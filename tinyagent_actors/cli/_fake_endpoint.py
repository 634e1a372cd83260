"""``tinyagent fake-endpoint``: the endpoint of `tinyagent_actors.testing`, from a shell."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
import click
import orjson
import trio

from tinyagent_actors._errors import SpecError, ValueShapeError
from tinyagent_actors._redact import redact_text
from tinyagent_actors.cli._demo_policy import SurveyPolicy
from tinyagent_actors.testing import (
    Answered,
    ChatRequest,
    Delivery,
    EchoPolicy,
    Endpoint,
    Policy,
    Reply,
    ToolLoopPolicy,
    load_script,
    open_endpoint,
)

_POLICIES: Final[dict[str, Callable[[ChatRequest], Reply]]] = {
    "echo": EchoPolicy(),
    "survey": SurveyPolicy(),
    "tools": ToolLoopPolicy(),
}
_EXIT_INTERRUPTED: Final = 130

_HELP = """Serve an OpenAI- and Anthropic-compatible endpoint on loopback, for tests.

The first line of output is the base URL. Requests are answered by a policy (echo: the user's last words; tools: each tool
offered is called once, then what they said; survey: as the demo's readers need it, for `tinyagent demo --base-url`) or by
a script, a JSON or TOML file with replies in order. Ctrl-C stops it.

\b
Examples:
  tinyagent fake-endpoint
  tinyagent fake-endpoint --port 8080 --policy tools --delay 0.02
  tinyagent fake-endpoint --script replies.toml --repeat --json

\b
A script:
  [[replies]]
  text = "Hello"
  [[replies]]
  status = 429
  retry_after = 2
  [[replies]]
  text = "This one breaks off before its end."
  fault = { kind = "cut", after_chunks = -1 }
"""


@attrs.frozen
class _Slowed:
    """A policy whose replies wait between two chunks."""

    policy: Callable[[ChatRequest], Reply]
    delay: float

    def __call__(self, request: ChatRequest, /) -> Reply:
        return attrs.evolve(self.policy(request), delivery=Delivery(delay_between=self.delay))


@attrs.define(eq=False)
class _Output:
    """Standard output, a line at a time, flushed. A reader that went away after the URL does not end the server."""

    json: bool
    _open: bool = attrs.field(init=False, default=True)

    def line(self, text: str, record: dict[str, Any]) -> None:
        """Write the text, or the record as JSON."""
        if not self._open:
            return
        try:
            click.echo(orjson.dumps(record) if self.json else text)
            sys.stdout.flush()
        except BrokenPipeError:
            self._open = False
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def answered(self, answered: Answered) -> None:
        """Write what became of a request."""
        request = answered.request
        target = redact_text(request.target)
        self.line(
            f"#{request.number} {request.method} {target} {answered.status or '-'} {answered.outcome}, "
            f"{answered.sent} bytes, {answered.seconds * 1000:.1f} ms",
            {
                "type": "request",
                "number": request.number,
                "connection": request.connection,
                "method": request.method,
                "target": target,
                "status": answered.status,
                "outcome": answered.outcome,
                "sent": answered.sent,
                "seconds": answered.seconds,
            },
        )

    def stopped(self, endpoint: Endpoint, by: str) -> None:
        """Write what was served."""
        now = endpoint.statistics()
        self.line(
            f"stopped by {by}: {now.served} of {now.requests} requests served, {now.disconnects} clients left, "
            f"{now.faulted} answers broken off, {now.open_streams} streams closed",
            {
                "type": "stopped",
                "signal": by,
                "statistics": attrs.asdict(now),
                "errors": [redact_text(str(error)) for error in endpoint.errors],
            },
        )


async def _serve(source: Policy, output: _Output, host: str, port: int, model: str, *, allow_remote: bool) -> int:
    """Serve till a signal; give the exit code."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with open_endpoint(
            source, host=host, port=port, model=model, allow_remote=allow_remote, on_answer=output.answered
        ) as endpoint:
            output.line(endpoint.url, {"type": "listening", "url": endpoint.url, "pid": os.getpid()})
            received = await anext(aiter(signals))
            output.stopped(endpoint, signal.Signals(received).name)
    return _EXIT_INTERRUPTED if received == signal.SIGINT else 0


def _source(script: Path | None, policy: str | None, delay: float, *, repeat: bool) -> Policy:
    if script is None:
        if repeat:
            raise click.UsageError("--repeat goes with --script")
        chosen = _POLICIES[policy or "echo"]
        return _Slowed(chosen, delay) if delay else chosen
    if policy is not None:
        raise click.UsageError("give --script or --policy, not both")
    if delay:
        raise click.UsageError("--delay goes with --policy; in a script: delivery = { delay_between = ... }")
    try:
        loaded = load_script(script)
    except (ValueShapeError, OSError) as error:
        raise click.BadParameter(str(error), param_hint="--script") from None
    loaded.repeat = loaded.repeat or repeat
    return loaded


@click.command("fake-endpoint", help=_HELP)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on. [default: any free one]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--allow-remote", is_flag=True, help="Let --host be an address that others can reach.")
@click.option(
    "--script",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    help="Replies to give, in order: a .json or .toml file.",
)
@click.option("--repeat", is_flag=True, help="Begin the script again at its end.")
@click.option("--policy", type=click.Choice(sorted(_POLICIES)), help="What decides the replies. [default: echo]")
@click.option("--delay", type=click.FloatRange(min=0), default=0.0, help="Seconds between two chunks of an answer.")
@click.option("--model", default="fake-model", show_default=True, help="The model that /v1/models lists.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: listening, request ..., stopped.")
@click.pass_context
def fake_endpoint_command(
    context: click.Context,
    *,
    port: int,
    host: str,
    allow_remote: bool,
    script: Path | None,
    repeat: bool,
    policy: str | None,
    delay: float,
    model: str,
    as_json: bool,
) -> None:
    """Serve the fake endpoint until a signal comes."""
    source = _source(script, policy, delay, repeat=repeat)
    output = _Output(json=as_json)

    async def serve() -> int:
        return await _serve(source, output, host, port, model, allow_remote=allow_remote)

    try:
        code = trio.run(serve)
    except KeyboardInterrupt:
        code = _EXIT_INTERRUPTED
    except SpecError as error:
        raise click.UsageError(
            f"--{error.field}: {error.problem.replace('`allow_remote`', '--allow-remote')}"
        ) from None
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    context.exit(code)
