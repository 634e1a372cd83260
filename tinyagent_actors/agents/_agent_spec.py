"""AgentSpec: an agent as a supervisor's child."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import attrs

from tinyagent_actors._errors import SpecError
from tinyagent_actors.actors import Backoff, ChildSpec, RestartType, Shutdown, check_name
from tinyagent_actors.agents._agent_actor import OnRestart, run_agent_actor
from tinyagent_actors.agents._agent_options import GetApiKey
from tinyagent_actors.agents._agent_ref import AgentRef
from tinyagent_actors.agents._budget import UNLIMITED, Budget, to_budget
from tinyagent_actors.agents._compaction import Compaction, SummariseOldest
from tinyagent_actors.agents._hooks import (
    ConvertToLlm,
    Hooks,
    ShouldStopAfterTurn,
    TransformContext,
    check_hook,
    typed_key,
)
from tinyagent_actors.agents._limits import Limits
from tinyagent_actors.agents._message_queue import check_mode
from tinyagent_actors.agents._run import RunConfig
from tinyagent_actors.agents._stream_call import ProviderCall, with_retries
from tinyagent_actors.agents._thinking_budgets import ThinkingBudgets, to_thinking_budgets
from tinyagent_actors.messages import Model, to_model
from tinyagent_actors.providers import StreamOptions
from tinyagent_actors.tools import AfterToolCall, BeforeToolCall, Tool, ToolSource, split_sources, to_tools

DEFAULT_SHUTDOWN: Final = 10.0
"""Seconds an agent gets to end its run: longer than the cleanup grace of a tool (5 s)."""


def _check_name(_: object, __: object, value: Any) -> None:
    check_name(value)


def _check_retries(_: object, __: object, value: Any) -> None:
    if type(value) is not int or value < 0:
        raise SpecError("retries", f"must be a whole number of at least 0, is {value!r}")


def _check_on_restart(_: object, __: object, value: Any) -> None:
    if value not in ("resume", "fresh"):
        raise SpecError("on_restart", f"must be resume or fresh, is {value!r}")


def _tools(value: Iterable[Any]) -> tuple[Tool | ToolSource, ...]:
    fixed, sources = split_sources(value)
    return (*to_tools(fixed), *sources)


@attrs.frozen
class AgentSpec:
    """What a supervisor has to know of an agent; stands wherever a `ChildSpec` may.

    Raises:
        SpecError: A field is wrong; it says which. Nothing is started.

    Example:
        >>> AgentSpec("writer", model=Model.parse("openrouter:anthropic/claude-sonnet-4.6"), system_prompt="Be brief.").name
        'writer'
    """

    name: str = attrs.field(validator=_check_name)
    model: Model = attrs.field(converter=to_model, kw_only=True)
    """A model, or several: each is asked where the one before it did not answer."""
    system_prompt: str = attrs.field(default="", kw_only=True)
    tools: tuple[Tool | ToolSource, ...] = attrs.field(default=(), converter=_tools, kw_only=True)
    """Tools, and sources of tools such as an `McpServer`, which give what they have when a request is made."""
    options: StreamOptions = attrs.field(factory=StreamOptions, kw_only=True)
    """How the model is called: engine, key, timeouts."""
    retries: int | None = attrs.field(default=None, validator=attrs.validators.optional(_check_retries), kw_only=True)
    """Further attempts at a model call, before its first content. None: `options.retries`, or 4 where that is 0."""
    limits: Limits = attrs.field(factory=Limits, kw_only=True)
    transform_context: TransformContext | None = attrs.field(default=None, validator=check_hook, kw_only=True)
    """The hooks are those of `AgentOptions`."""
    convert_to_llm: ConvertToLlm | None = attrs.field(default=None, validator=check_hook, kw_only=True)
    before_tool_call: BeforeToolCall | None = attrs.field(default=None, validator=check_hook, kw_only=True)
    after_tool_call: AfterToolCall | None = attrs.field(default=None, validator=check_hook, kw_only=True)
    should_stop_after_turn: ShouldStopAfterTurn | None = attrs.field(default=None, validator=check_hook, kw_only=True)
    get_api_key: GetApiKey | None = attrs.field(default=None, validator=check_hook, kw_only=True)
    """Asked before each request, with the provider's name; wins over `options.api_key`."""
    thinking_budgets: ThinkingBudgets | None = attrs.field(default=None, converter=to_thinking_budgets, kw_only=True)
    steering_mode: str = attrs.field(default="one-at-a-time", validator=check_mode, kw_only=True)
    follow_up_mode: str = attrs.field(default="one-at-a-time", validator=check_mode, kw_only=True)
    budget: Budget = attrs.field(default=UNLIMITED, converter=to_budget, kw_only=True)
    """What the agent and all that it starts may spend in its life, across restarts. None: as much as is allowed above it."""
    restart: RestartType = attrs.field(default="permanent", kw_only=True)
    """Provider and transport failures are restarted after a back-off; authentication, refusals, budgets and deadlines never."""
    on_restart: OnRestart = attrs.field(default="resume", validator=_check_on_restart, kw_only=True)
    """`resume`: the next incarnation has the same transcript, repaired, and goes on with what it was told and had not done. `fresh`:
    it has an empty one."""
    compaction: Compaction | None = attrs.field(factory=SummariseOldest, validator=check_hook, kw_only=True)
    """What makes the transcript shorter when it does not fit into the model's context; None: that is an error like others."""
    shutdown: Shutdown = attrs.field(default=DEFAULT_SHUTDOWN, kw_only=True)
    mailbox_capacity: int = attrs.field(default=64, kw_only=True)
    significant: bool = attrs.field(default=False, kw_only=True)
    """Whether its end may end its supervisor (`auto_shutdown`)."""
    backoff: Backoff | None = attrs.field(default=None, kw_only=True)
    """How long to wait before a restart; None: as its supervisor does."""

    def to_child_spec(self) -> ChildSpec[object, object, AgentRef]:
        """Give the spec of the actor that this agent is."""
        fixed, sources = split_sources(self.tools)
        config = RunConfig(
            model=self.model,
            call=ProviderCall(self._stream_options()),
            system_prompt=self.system_prompt,
            tools={tool.name: tool for tool in fixed},
            definitions=tuple(tool.definition for tool in fixed),
            sources=sources,
            limits=self.limits,
            hooks=Hooks.of(self),
            steering_mode=self.steering_mode,
            follow_up_mode=self.follow_up_mode,
            compaction=self.compaction,
        )
        return ChildSpec(
            self.name,
            run_agent_actor,
            args=(config, self.budget, self.on_restart),
            restart=self.restart,
            shutdown=self.shutdown,
            mailbox_capacity=self.mailbox_capacity,
            significant=self.significant,
            backoff=self.backoff,
            ref_type=AgentRef,
        )

    def _stream_options(self) -> StreamOptions:
        options = with_retries(self.options, self.retries)
        if self.thinking_budgets is not None:
            options = self.thinking_budgets.apply_to(options)
        return options if self.get_api_key is None else attrs.evolve(options, api_key=typed_key(self.get_api_key))
