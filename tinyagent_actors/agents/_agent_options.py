"""AgentOptions and AgentState: how an `Agent` is made, and what it holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

import attrs

from tinyagent_actors._errors import SpecError
from tinyagent_actors.agents._hooks import (
    ConvertToLlm,
    ShouldStopAfterTurn,
    TransformContext,
    check_hook,
)
from tinyagent_actors.agents._limits import Limits
from tinyagent_actors.agents._message_queue import check_mode
from tinyagent_actors.agents._seed_call import StreamFn
from tinyagent_actors.agents._thinking_budgets import ThinkingBudgets, to_thinking_budgets
from tinyagent_actors.agents._transcript import to_messages
from tinyagent_actors.events import structure
from tinyagent_actors.messages import Message, Model, ThinkingLevel, to_model
from tinyagent_actors.providers import StreamOptions
from tinyagent_actors.tools import AfterToolCall, BeforeToolCall, Tool, to_tools

GetApiKey: TypeAlias = Callable[[str], "str | Awaitable[str | None] | None"]


def to_model_like(value: object) -> Model:
    """Give the model for what may stand for it: a model, its dict shape, or several in the order in which they are asked.

    Raises:
        SpecError: It is none of these.
        ValueShapeError: The dict has another shape.
    """
    if isinstance(value, list | tuple):
        return to_model([to_model_like(model) for model in value])
    return to_model(structure(value, Model) if isinstance(value, Mapping) else value)


def _tools(value: Iterable[Any]) -> tuple[Tool, ...]:
    return to_tools(value)


def _messages(value: Iterable[Any]) -> tuple[Message, ...]:
    return to_messages(tuple(value))


@attrs.frozen
class AgentState:
    """What an `Agent` holds, as it stands now."""

    system_prompt: str = ""
    model: Model | None = attrs.field(default=None, converter=attrs.converters.optional(to_model_like))
    thinking_level: ThinkingLevel = "off"
    tools: tuple[Tool, ...] = attrs.field(default=(), converter=_tools)
    messages: tuple[Message, ...] = attrs.field(default=(), converter=_messages)
    is_streaming: bool = False
    error: str | None = None
    """What ended the latest run, if something did."""


def _to_state(value: object) -> AgentState | None:
    if value is None or isinstance(value, AgentState):
        return value
    known = {field.name for field in attrs.fields(AgentState)}
    if not isinstance(value, Mapping) or not value.keys() <= known:
        raise SpecError("initial_state", f"must be an AgentState, or an object of {', '.join(sorted(known))}")
    return AgentState(**value)


@attrs.frozen
class AgentOptions:
    """How an `Agent` is made. Every field has a default."""

    initial_state: AgentState | None = attrs.field(default=None, converter=_to_state)
    """With what it begins; also in its dict shape."""
    stream_fn: StreamFn | None = None
    """Who is asked. None: `open_stream` with `stream_options`."""
    session_id: str | None = None
    steering_mode: str = attrs.field(default="one-at-a-time", validator=check_mode)
    follow_up_mode: str = attrs.field(default="one-at-a-time", validator=check_mode)
    transform_context: TransformContext | None = attrs.field(default=None, validator=check_hook)
    """Gives other messages in the place of the transcript's, before each request, which itself stays as it is: to prune it, or to
    add what was retrieved."""
    convert_to_llm: ConvertToLlm | None = attrs.field(default=None, validator=check_hook)
    """Turns those into what the model sees. None: messages of custom roles are left out."""
    before_tool_call: BeforeToolCall | None = attrs.field(default=None, validator=check_hook)
    """Called with the call, its tool and its arguments before the tool runs. It gives None, other arguments, which must fit the
    schema as well, or a `ToolLoopControl`: then the tool does not run."""
    after_tool_call: AfterToolCall | None = attrs.field(default=None, validator=check_hook)
    """Called with the call and the result of its tool, also of one that raised. It gives None, another result, or a `ToolLoopControl`."""
    should_stop_after_turn: ShouldStopAfterTurn | None = attrs.field(default=None, validator=check_hook)
    """Called after each turn with message, results, context and what the run has added; whether the run ends here."""
    get_api_key: GetApiKey | None = attrs.field(default=None, validator=check_hook)
    """Asked before each request, with the provider's name."""
    thinking_budgets: ThinkingBudgets | None = attrs.field(default=None, converter=to_thinking_budgets)
    enable_prompt_caching: bool = False
    """Whether what the provider has read is marked for its cache; see `StreamOptions.enable_prompt_caching`. A `stream_fn` of
    your own sees to that itself."""
    stream_options: StreamOptions = attrs.field(factory=StreamOptions)
    """How the model is called. Where its `retries` are 0, a call has 4; a stream function of your own has none."""
    limits: Limits = attrs.field(factory=Limits)
