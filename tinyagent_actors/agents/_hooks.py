"""Hooks: what an application has to say around model, tools and turns of a run.

A hook is a plain or an async function. Those around the model and the turn run in the run's own task, under its cancel and its
deadlines; those around a tool in the task of the call (see `CallHooks`). One that raises around a tool is that call's error
result; elsewhere it ends the run with `HookError`, or with its own error if that is one of ours, so that a hook can end a run on
purpose. Either way every call has its result before the run is over.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from tinyagent_actors._errors import HookError, SpecError, TinyAgentError
from tinyagent_actors.actors import as_fact
from tinyagent_actors.agents._transcript import to_messages
from tinyagent_actors.messages import AssistantMessage, Context, Message, ToolResultMessage
from tinyagent_actors.tools import AfterToolCall, BeforeToolCall, CallHooks, Signal

Messages: TypeAlias = Iterable[Message | Mapping[str, Any]]
ConvertToLlm: TypeAlias = Callable[[list[Message]], "Messages | Awaitable[Messages]"]
TransformContext: TypeAlias = Callable[..., "Messages | Awaitable[Messages]"]
"""Called with the messages; one that takes two gets a `Signal` as well, which is set when the run is cancelled meanwhile."""
ShouldStopAfterTurn: TypeAlias = Callable[
    [AssistantMessage, Sequence[ToolResultMessage], Context, Sequence[Message]], "bool | Awaitable[bool]"
]


def check_hook(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Refuse what cannot be called.

    Raises:
        SpecError: With the name of the hook.
    """
    if value is not None and not callable(value):
        raise SpecError(field.name, f"must be a function, is {type(value).__name__}")


@attrs.frozen
class Hooks:
    """The hooks of a run."""

    before_tool_call: BeforeToolCall | None = None
    after_tool_call: AfterToolCall | None = None
    should_stop_after_turn: ShouldStopAfterTurn | None = None
    transform_context: TransformContext | None = None
    convert_to_llm: ConvertToLlm | None = None

    @classmethod
    def of(cls, options: Any) -> Hooks:
        """Give the hooks that options name: each is an attribute of its own there."""
        return cls(*(getattr(options, field.name) for field in attrs.fields(cls)))

    def around_calls(self) -> CallHooks | None:
        """Give the hooks around tools; None if there are none."""
        if self.before_tool_call is None and self.after_tool_call is None:
            return None
        return CallHooks(self.before_tool_call, self.after_tool_call)

    async def shown(self, transcript: Sequence[Message]) -> tuple[Message, ...]:
        """Give what the model sees of a transcript: transformed, then converted. The transcript itself stays as it is.

        No checkpoint where there are no hooks.

        Raises:
            HookError: One of them raised, or gave something else than messages.
        """
        messages = tuple(transcript)
        if self.transform_context is not None:
            messages = await _transformed(self.transform_context, messages)
        if self.convert_to_llm is not None:
            messages = await _messages_of("convert_to_llm", self.convert_to_llm, list(messages))
        return messages

    async def stop_after(
        self,
        message: AssistantMessage,
        results: Sequence[ToolResultMessage],
        context: Context,
        new_messages: Sequence[Message],
    ) -> bool:
        """Say whether the run ends after this turn. No checkpoint where there is no hook.

        Args:
            message: What the model said.
            results: The results of its calls, in order.
            context: System prompt, transcript and tools as they stand.
            new_messages: What the run has added to the transcript.

        Raises:
            HookError: It raised.
        """
        if self.should_stop_after_turn is None:
            return False
        hook = self.should_stop_after_turn
        return bool(await run_hook("should_stop_after_turn", hook, message, results, context, new_messages))


async def run_hook(name: str, hook: Callable[..., Any], *args: object) -> Any:
    """Call a hook, plain or async. What it awaits can be cancelled; it leaves nothing behind but what it did.

    Raises:
        HookError: It raised something that is not ours.
    """
    try:
        said = hook(*args)
        return await said if inspect.isawaitable(said) else said
    except TinyAgentError:
        raise
    except Exception as error:
        raise HookError(name, as_fact(error)) from error


def typed_key(get_api_key: Callable[[str], Any]) -> Callable[[str], Awaitable[str | None]]:
    """Give a function of a key that raises `HookError` where the application's raises."""

    async def get(provider: str) -> str | None:
        key: str | None = await run_hook("get_api_key", get_api_key, provider)
        return key

    return get


async def _transformed(hook: TransformContext, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    signal = Signal()
    signals = (signal,) if _takes_two(hook) else ()
    try:
        return await _messages_of("transform_context", hook, list(messages), *signals)
    finally:
        signal.set()


async def _messages_of(name: str, hook: Callable[..., Any], *args: object) -> tuple[Message, ...]:
    async def convert() -> tuple[Message, ...]:
        said = hook(*args)
        return to_messages(tuple(await said if inspect.isawaitable(said) else said))

    messages: tuple[Message, ...] = await run_hook(name, convert)
    return messages


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except (TypeError, ValueError):  # the latter: it has no signature to look at
        return False
    return True
