"""Output: what a run is to come to where a text is not enough: a value of a type.

The design. The type becomes a JSON Schema, by the same reading that tools have of their parameters, and what the model says is
validated by it and made a value of the type, as a tool's arguments are; so there is one reading of types in the package. How the
model says it is the mode's:

``tool``, the default, works with every model that can call tools: the run has one tool more, `final_answer`, whose arguments are the
value. Calling it ends the run. The arguments that do not fit come back to the model as any tool's do.
``schema`` is the provider's own mode: the request asks for JSON by the schema (`response_format`), and the answer's text is the value.

In either mode a text that is JSON and fits is taken: models that were told to call a tool sometimes say its arguments instead. What
does not fit is answered with what was wrong, in a further turn, at most `repairs` times; then the run ends with `OutputError`. The limits of
the run hold as ever.

The methods are `prompt_typed` and `ask_typed`, beside `prompt_text`, and give the value itself: what they return hangs on the method
and not on an argument, so a type checker knows it; the message is the last of the transcript, and an `AgentEndEvent` has it.

Refused: a schema in the system prompt (no provider checks it, and the prefix of the cache would change), and a model asked anew with an
empty transcript to put a text into JSON (it would have to guess what was meant).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

import attrs
import orjson

from tinyagent_actors._errors import InvalidArgumentsError, OutputError, SpecError, ToolDefinitionError, ValueShapeError
from tinyagent_actors.agents._stream_call import ProviderCall
from tinyagent_actors.agents._transcript import calls_of
from tinyagent_actors.messages import (
    AgentToolResult,
    AssistantMessage,
    InvalidToolCall,
    TextContent,
    ToolCall,
    UserMessage,
)
from tinyagent_actors.tools import AgentTool, Tool, tool

if TYPE_CHECKING:
    from tinyagent_actors.agents._run import RunConfig

OutputMode: TypeAlias = Literal["tool", "schema"]
OutputT = TypeVar("OutputT")
MODES: Final = ("tool", "schema")
NAME: Final = "final_answer"
REPAIRS: Final = 2
"""How often an answer that does not fit may be tried again."""
_DESCRIPTION: Final = (
    "Give the final answer, once everything else is done. Nothing but a call of this tool is an answer."
)
_FENCED: Final = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?```\s*\Z", re.DOTALL)


@attrs.define(eq=False)
class Output:
    """What one run is to come to, and what it has come to so far."""

    output_type: Any
    mode: OutputMode = "tool"
    repairs: int = REPAIRS
    value: Any = attrs.field(default=None, init=False)
    """There once `has_value`."""
    has_value: bool = attrs.field(default=False, init=False)
    tool: Tool = attrs.field(init=False, repr=False)
    """What the model calls with the value."""
    _is_wrapped: bool = attrs.field(default=True, init=False)
    """Whether the value is the member `value` of the arguments, and not the arguments themselves."""
    _problems: tuple[str, ...] = attrs.field(default=(), init=False)
    """Of the latest attempt."""
    _attempts: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        if self.mode not in MODES:
            raise SpecError("mode", f"must be one of {', '.join(MODES)}, is {self.mode!r}")
        if type(self.repairs) is not int or self.repairs < 0:
            raise SpecError("repairs", f"must be a whole number of at least 0, is {self.repairs!r}")
        try:
            self.tool = self._make_tool()
        except (ToolDefinitionError, ValueShapeError) as error:
            raise SpecError("output_type", str(error)) from error

    def _make_tool(self) -> Tool:
        if isinstance(self.output_type, Mapping):
            self._is_wrapped = self.output_type.get("type") != "object"
            parameters = _wrapped(self.output_type) if self._is_wrapped else self.output_type
            return AgentTool(NAME, _DESCRIPTION, parameters, execute=self._execute).to_tool()

        async def final_answer(value: Any) -> AgentToolResult:
            return await self._execute("", {"value": value}, None, None)

        final_answer.__annotations__["value"] = self.output_type
        return tool(name=NAME, description=_DESCRIPTION)(final_answer)

    async def _execute(
        self, _call_id: str, arguments: Mapping[str, Any], _signal: object, _update: object
    ) -> AgentToolResult:
        """Be the tool: its arguments are the value. The first stays."""
        if not self.has_value:
            self._settle(arguments)
        return AgentToolResult((TextContent("noted"),), terminate=True)

    def _settle(self, arguments: Mapping[str, Any]) -> None:
        self.value = arguments["value"] if self._is_wrapped else dict(arguments)
        self.has_value = True

    def apply_to(self, config: RunConfig) -> RunConfig:
        """Give what a run needs to know that is to come to this.

        Raises:
            SpecError: There is a tool of that name; or the provider has no mode for a schema.
        """
        if self.mode == "tool":
            if NAME in config.tools:
                raise SpecError("tools", f"{NAME!r} is the name of the tool for a typed answer")
            tools, definitions = {**config.tools, NAME: self.tool}, (*config.definitions, self.tool.definition)
            return attrs.evolve(config, tools=tools, definitions=definitions, output=self)
        call = config.call
        if not isinstance(call, ProviderCall) or config.model.api != "openai-completions":
            raise SpecError(
                "mode", "only openai-completions, without a stream function of your own, has the mode 'schema'"
            )
        schema = {"name": NAME, "schema": self.tool.definition.parameters, "strict": False}
        wanted = {"response_format": {"type": "json_schema", "json_schema": schema}}
        options = attrs.evolve(call.options, extra_body={**(call.options.extra_body or {}), **wanted})
        return attrs.evolve(config, call=attrs.evolve(call, options=options), output=self)

    def after_turn(self, answer: AssistantMessage, *, has_stopped: bool) -> UserMessage | None:
        """Hear of a turn: the message with which the run goes on, or None.

        Args:
            answer: What the model said in it.
            has_stopped: Whether the run would be over now.

        Raises:
            OutputError: It did not fit, as often as it may not.
        """
        if self.has_value:
            return None
        calls = [call for call in calls_of(answer) if call.name == NAME]
        if calls:
            self._fail(self._problems_of(calls[-1]))
            return None
        if not has_stopped or self.take_text(answer):
            return None
        self._fail(self._problems)
        how = "Answer with JSON only." if self.mode == "schema" else f"Answer by calling the tool {NAME}."
        return UserMessage(f"This is no answer yet: {'; '.join(self._problems)}. {how}")

    def _problems_of(self, call: ToolCall | InvalidToolCall) -> tuple[str, ...]:
        if isinstance(call, InvalidToolCall):
            return (call.reason,)
        try:
            self.tool.reader.read(call.arguments)
        except InvalidArgumentsError as error:
            return tuple(error.problems)
        return (f"the call of {NAME} did not run",)

    def take_text(self, answer: AssistantMessage) -> bool:
        """Take the text of an answer for the value, if it is JSON that fits; whether it was."""
        if answer.stop_reason not in ("stop", "tool_use"):
            self._problems = (f"the answer did not end properly ({answer.stop_reason})",)
            return False
        fenced = _FENCED.match(answer.text)
        try:
            said = orjson.loads(fenced[1] if fenced else answer.text)
        except orjson.JSONDecodeError as error:
            self._problems = (f"the text is no JSON: {error}",)
            return False
        for arguments in (said, {"value": said}) if self._is_wrapped else (said,):
            try:
                read = self.tool.reader.read(arguments) if isinstance(arguments, Mapping) else None
            except InvalidArgumentsError as error:
                self._problems = tuple(error.problems)
                continue
            if read is not None:
                self._settle(read)
                return True
        self._problems = self._problems or ("the JSON is no object",)
        return False

    def _fail(self, problems: tuple[str, ...]) -> None:
        self._problems = problems
        self._attempts += 1
        if self._attempts > self.repairs:
            raise OutputError(problems, self._attempts)

    def result_of(self, message: AssistantMessage | None) -> Any:
        """Give the value of a run that is over.

        Args:
            message: Its last.

        Raises:
            ProviderError: The provider failed.
            OutputError: The run has come to an end without a value: it was interrupted, or a hook ended it.
        """
        if not self.has_value:
            if message is not None and message.error is not None:
                raise message.error
            if message is None or not self.take_text(message):
                raise OutputError(self._problems or ("the run came to no answer",), self._attempts)
        return self.value


def _wrapped(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Give a schema of an object whose only member is the value; definitions stay where references look for them."""
    inner = dict(schema)
    outer: dict[str, Any] = {name: inner.pop(name) for name in ("$defs", "definitions") if name in inner}
    properties = {"value": inner}
    return {"type": "object", "properties": properties, "required": ["value"], "additionalProperties": False, **outer}
