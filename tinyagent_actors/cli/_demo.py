"""``tinyagent demo``: a supervised team of agents surveys real files and reports."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import attrs
import click
import orjson
import trio

from tinyagent_actors._errors import EngineUnavailableError, SpecError, TinyAgentError, ValueShapeError
from tinyagent_actors.actors import Leftovers, Subscription, block
from tinyagent_actors.cli._demo_policy import SurveyPolicy
from tinyagent_actors.cli._demo_tally import TOOL_OUTCOMES, Tally
from tinyagent_actors.cli._demo_team import Plan, lead_spec
from tinyagent_actors.cli._demo_view import LiveView, PlainView, QuietView, View, count, print_table
from tinyagent_actors.cli._options import check_log, model_of
from tinyagent_actors.cli._survey import FileFigures, folder_of, list_files, printable, shown
from tinyagent_actors.messages import Model
from tinyagent_actors.providers import Engine, StreamOptions, best_engine
from tinyagent_actors.supervision import supervisor
from tinyagent_actors.system import System, open_system, run
from tinyagent_actors.testing import open_endpoint

MOST_AGENTS: Final = 256
_FRAME: Final = 0.1

EPILOG: Final = """\b
Examples:
  tinyagent demo
  tinyagent demo src --agents 16
  tinyagent demo . --json --no-faults
  tinyagent demo . --base-url http://127.0.0.1:11434/v1 --model qwen3:8b
  tinyagent demo . --model openrouter:anthropic/claude-sonnet-4.6
"""


@attrs.define(eq=False)
class Survey:
    """One run of the demo, and what came of it."""

    top: bytes
    agents: int
    model: Model | None
    engine: Engine
    faults: bool
    log: Path
    view: View
    files: tuple[FileFigures, ...] = ()
    endpoint: str = ""
    tally: Tally = attrs.field(factory=Tally)
    leftovers: Leftovers = attrs.field(factory=Leftovers)
    seconds: float = 0.0
    error: Exception | None = None

    async def run(self) -> None:
        """Survey the files; what fails is in `error`."""
        began = time.monotonic()
        try:
            await self._run()
        except TinyAgentError as error:
            self.error = error
        finally:
            self.seconds = time.monotonic() - began
            self.view.end()

    async def _run(self) -> None:
        paths = await trio.to_thread.run_sync(lambda: list(list_files(self.top)))
        self.view.begin(shown(self.top), len(paths))
        async with AsyncExitStack() as stack:
            model = self.model
            if model is None:
                endpoint = await stack.enter_async_context(open_endpoint(SurveyPolicy()))
                model = Model("survey-policy", provider="custom", base_url=endpoint.url)
            self.endpoint = model.base_url or model.provider
            plan = Plan(
                folder_of(self.top),
                _by_shown_name(paths),
                self.agents,
                model,
                StreamOptions(engine=self.engine),
                self.faults,
            )
            await self._survey(plan)

    async def _survey(self, plan: Plan) -> None:
        events: Subscription | None = None
        system = None
        try:
            async with open_system("demo", log=self.log) as system:
                events = system.runtime.bus.open_subscription("**", policy=block(65_536), has_deltas=False)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._follow, events)
                    try:
                        await self._ask_the_lead(system, plan)
                    except TinyAgentError as error:
                        self.error = error
                    nursery.cancel_scope.cancel()
        finally:
            while events is not None and (event := events.next_nowait()) is not None:
                self.tally.take(event)
            self.view.show(self.tally)
            if system is not None:
                self.leftovers = system.leftovers()

    async def _ask_the_lead(self, system: System, plan: Plan) -> None:
        if plan.files:
            team = await system.start_child(supervisor("team"))
            lead = await team.start_child(lead_spec(team, plan))
            self.files = await lead.ask("survey")

    async def _follow(self, events: Subscription) -> None:
        """Count events as they come, and show how it stands."""
        shown_at = 0.0
        async for event in events:
            self.tally.take(event)
            while (further := events.next_nowait()) is not None:
                self.tally.take(further)
            if trio.current_time() - shown_at < _FRAME:
                await trio.sleep(_FRAME)
            shown_at = trio.current_time()
            self.view.show(self.tally)

    def report(self, *, ok: bool) -> dict[str, Any]:
        """Give the one JSON object."""
        counted = [figures for figures in self.files if figures.skipped is None]
        tally, left = self.tally, self.leftovers
        return {
            "ok": ok,
            "path": shown(self.top),
            "engine": self.engine,
            "endpoint": self.endpoint,
            "files": [attrs.asdict(figures) for figures in self.files],
            "totals": {
                "files": len(counted),
                "bytes": sum(figures.bytes for figures in counted),
                "lines": sum(figures.lines or 0 for figures in counted),
                "words": sum(figures.words or 0 for figures in counted),
            },
            "agents": {"started": tally.started, "crashed": tally.crashed, "restarted": tally.restarted},
            "tools": {outcome: tally.tools[outcome] for outcome in TOOL_OUTCOMES},
            "usage": attrs.asdict(tally.usage),
            "events": tally.events,
            "seconds": round(self.seconds, 3),
            "log": str(self.log),
            "leftovers": {
                "tasks": left.tasks,
                "threads": left.threads,
                "streams": left.streams,
                "processes": left.processes,
            },
        }


def _by_shown_name(paths: list[bytes]) -> dict[str, bytes]:
    """Give the paths by what is shown of them; two that look alike are told apart by a number."""
    named: dict[str, bytes] = {}
    for path in paths:
        name, number = shown(path), 2
        while name in named:
            name, number = f"{shown(path)} ({number})", number + 1
        named[name] = path
    return named


@click.command("demo", epilog=EPILOG)
@click.argument("path", default=".", type=click.Path(readable=False, path_type=Path))
@click.option("--agents", default=4, show_default=True, type=click.IntRange(1, MOST_AGENTS), help="Readers.")
@click.option(
    "--model", "model_name", help="A real model: provider:id, or with --base-url its id. The key: environment."
)
@click.option("--base-url", help="An OpenAI-compatible endpoint, such as http://127.0.0.1:11434/v1.")
@click.option("--engine", type=click.Choice(["native", "httpx"]), help="Default: native where it is built.")
@click.option("--faults/--no-faults", default=True, show_default=True, help="Crash a reader, hang a tool.")
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON object.")
@click.option("--log", type=click.Path(path_type=Path), help="The event log (JSON lines). Default: a temporary file.")
def demo_command(
    path: Path,
    agents: int,
    model_name: str | None,
    base_url: str | None,
    engine: Engine | None,
    faults: bool,  # noqa: FBT001  # click passes options by name
    as_json: bool,  # noqa: FBT001  # as above
    log: Path | None,
) -> None:
    """Let a supervised team of agents survey the files under PATH and report.

    The agents really run: each streams from an endpoint over HTTP and calls tools that read the files. Without --model
    the endpoint is a scripted one in this process, so no key and no network is needed. One reader is made to
    crash and is restarted, one tool hangs and is ended by its timeout; --no-faults turns both off.
    """
    top = _readable(path)
    try:
        survey = Survey(
            top,
            agents,
            model_of(model_name, base_url),
            engine or best_engine(),
            faults,
            log or _temporary_log(),
            _view(as_json=as_json),
        )
        check_log(survey.log)
    except (ValueShapeError, SpecError, EngineUnavailableError) as error:
        raise click.UsageError(str(error)) from error
    interrupted: BaseException | None = None
    try:
        run(survey.run)
    except (KeyboardInterrupt, SystemExit) as signal:
        interrupted = signal
    _tell_end(survey, interrupted, as_json=as_json)
    if interrupted is not None:
        sys.exit(130 if isinstance(interrupted, KeyboardInterrupt) else interrupted.code)  # type: ignore[attr-defined]  # a SystemExit
    sys.exit(0 if survey.error is None else 1)


def _tell_end(survey: Survey, interrupted: BaseException | None, *, as_json: bool) -> None:
    ok = survey.error is None and interrupted is None
    if as_json:
        click.echo(orjson.dumps(survey.report(ok=ok)))
    elif interrupted is not None:
        left = survey.leftovers
        click.echo(f"interrupted: {survey.tally.stopped} actors stopped in order, {left.total} left running")
    elif survey.files:
        print_table(survey.files)
        _tell_totals(survey)
    elif ok:
        click.echo("no files: nothing to survey")
    if survey.error is not None:
        click.echo(f"failed: {type(survey.error).__name__}: {survey.error}", err=True)


def _tell_totals(survey: Survey) -> None:
    report = survey.report(ok=True)
    totals, agents, tools = report["totals"], report["agents"], report["tools"]
    figures = ", ".join(count(totals[f"{noun}s"], noun) for noun in ("file", "byte", "line", "word"))
    click.echo(
        f"{figures} ({len(survey.files) - totals['files']} skipped) in {survey.seconds:.2f} s on the {survey.engine} engine"
    )
    click.echo(
        f"agents: {agents['started']} started, {agents['crashed']} crashed, {agents['restarted']} restarted; tools: "
        + ", ".join(f"{number} {outcome.replace('_', ' ')}" for outcome, number in tools.items() if number)
        + f"; left running: {survey.leftovers.total}"
    )
    click.echo(f"log: {survey.log}")


def _readable(path: Path) -> bytes:
    top = os.fsencode(path)
    try:
        next(list_files(top), None)
        if not os.access(top, os.R_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        click.echo(f"tinyagent demo: {printable(shown(top))}: {error.strerror}", err=True)
        sys.exit(2)
    return top


def _temporary_log() -> Path:
    descriptor, name = tempfile.mkstemp(prefix="tinyagent-demo-", suffix=".jsonl")
    os.close(descriptor)
    return Path(name)


def _view(*, as_json: bool) -> View:
    if as_json:
        return QuietView()
    return LiveView() if sys.stdout.isatty() else PlainView()
