"""What the fake endpoint was asked: the HTTP request as it came, and the conversation in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import attrs
import orjson

from tinyagent_actors._errors import ValueShapeError
from tinyagent_actors._redact import redact, redact_text


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RecordedRequest:
    """One HTTP request, whole. Its `repr` shows no credential and no body."""

    number: int
    """From 1, in the order in which the heads came in."""
    connection: int
    """The number of the connection it came over, from 1: equal numbers mean a connection that was kept."""
    method: str
    target: str
    """The path and query, as sent."""
    headers: tuple[tuple[str, str], ...]
    """In order; names in lower case."""
    body: bytes = b""
    http_version: str = "1.1"

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0] if self.target.startswith("/") else urlsplit(self.target).path

    @property
    def json(self) -> Any:
        """The body as JSON, parsed anew at each call.

        Raises:
            ValueShapeError: It is not JSON.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise ValueShapeError("body", f"is not JSON: {error}") from None

    def header(self, name: str) -> str | None:
        """Give the first value of that header, or ``None``."""
        name = name.lower()
        return next((value for key, value in self.headers if key == name), None)

    def __repr__(self) -> str:
        return (
            f"<RecordedRequest {self.number} {self.method} {redact_text(self.target)} "
            f"headers={redact(dict(self.headers))} body={len(self.body)} bytes>"
        )


@attrs.frozen(kw_only=True)
class MadeCall:
    """A tool call that the model made earlier in the conversation."""

    id: str
    name: str
    arguments: str
    """The JSON text, as it stands in the conversation."""


@attrs.frozen(kw_only=True)
class GivenResult:
    """A tool result that the conversation holds."""

    call_id: str
    name: str
    """The tool's, from the call with that id; "" where no call has it."""
    text: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChatRequest:
    """A request for a completion, as a policy sees it: the conversation, parsed.

    The properties that speak of calls and results look at the present exchange only: what came after the last message of
    the user. They are computed once, when they are first read.
    """

    request: RecordedRequest
    raw: Mapping[str, Any]
    """The whole body, parsed."""
    messages: Sequence[Mapping[str, Any]]
    """As sent, oldest first."""

    __hash__ = object.__hash__

    @classmethod
    def parse(cls, request: RecordedRequest) -> ChatRequest:
        """Read a body.

        Raises:
            ValueShapeError: It is not a request for a completion; names the member.
        """
        raw = request.json
        if not isinstance(raw, dict):
            raise ValueShapeError("body", "must be a JSON object")
        messages = raw.get("messages")
        if not isinstance(messages, list) or not messages:
            raise ValueShapeError("messages", "must be a list with at least one message")
        for index, message in enumerate(messages):
            if not isinstance(message, dict) or not isinstance(message.get("role"), str):
                raise ValueShapeError(f"messages[{index}]", "must be an object with a role")
        return cls(request=request, raw=raw, messages=messages)

    @property
    def number(self) -> int:
        """The request's number at the endpoint, from 1."""
        return self.request.number

    @property
    def model(self) -> str:
        """The model asked for, or ""."""
        model = self.raw.get("model")
        return model if isinstance(model, str) else ""

    @property
    def stream(self) -> bool:
        """Whether the answer is to be streamed."""
        return self.raw.get("stream") is True

    @property
    def include_usage(self) -> bool:
        """Whether a streamed answer is to end with the usage."""
        options = self.raw.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    @property
    def tools(self) -> tuple[Mapping[str, Any], ...]:
        """The functions offered: objects with ``name``, ``description`` and ``parameters``."""
        tools = self.raw.get("tools")
        functions = [_function(tool) for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
        return tuple(item for item in functions if isinstance(item, dict) and isinstance(item.get("name"), str))

    @property
    def system_text(self) -> str:
        """The text of the system (or developer) messages, joined by empty lines."""
        texts = [message_text(message) for message in self.messages if message["role"] in ("system", "developer")]
        return "\n\n".join(texts)

    @property
    def user_text(self) -> str:
        """The text of the last message of the user, or ""."""
        return message_text(self.messages[self._start - 1]) if self._start else ""

    @cached_property
    def _start(self) -> int:
        """Index after the last message of the user; 0 where there is none."""
        for index in range(len(self.messages), 0, -1):
            if self.messages[index - 1]["role"] == "user":
                return index
        return 0

    @cached_property
    def calls(self) -> tuple[MadeCall, ...]:
        """The calls made since the last message of the user, in order."""
        later = self.messages[self._start :]
        return tuple(call for message in later if "tool_calls" in message for call in message_calls(message))

    @cached_property
    def results(self) -> tuple[GivenResult, ...]:
        """The results given since the last message of the user, in order."""
        names = {call.id: call.name for call in self.calls}
        return tuple(
            GivenResult(call_id=call_id, name=names.get(call_id, ""), text=message_text(message))
            for message in self.messages[self._start :]
            if message["role"] == "tool" and isinstance(call_id := message.get("tool_call_id"), str)
        )

    @cached_property
    def calls_before(self) -> int:
        """How many calls the whole conversation holds: the number of the next one."""
        return sum(len(calls) for message in self.messages if isinstance(calls := message.get("tool_calls"), list))

    def __repr__(self) -> str:
        return f"<ChatRequest {self.number} model={self.model!r} messages={len(self.messages)}>"


def _function(tool: Mapping[str, Any]) -> Any:
    """Give the function of a tool in OpenAI's shape or in Anthropic's."""
    if "input_schema" not in tool:
        return tool.get("function")
    return {"name": tool.get("name"), "description": tool.get("description"), "parameters": tool["input_schema"]}


def message_text(message: Mapping[str, Any]) -> str:
    """Give the text of a message: its content, or the texts of its parts joined."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def message_calls(message: Mapping[str, Any]) -> list[MadeCall]:
    """Give the tool calls of an assistant's message; what is not of that shape is left out."""
    calls = message.get("tool_calls")
    made = []
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            name, arguments, call_id = function.get("name"), function.get("arguments"), call.get("id")
            made.append(MadeCall(id=_text(call_id), name=_text(name), arguments=_text(arguments)))
    return made


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
