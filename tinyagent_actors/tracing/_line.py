"""The lines of the log: events as JSON without secrets, whatever is in them.

Two things keep a line cheap. A message, the bulk of most lines, stands in up to four events (its start, its end, its turn, its
run): it is rendered once, without secrets, and its text is laid into each line. And most lines hold no mark of a secret: so the
rest of a line is rendered as it is, looked through many at once as bytes, and only where a mark stands is it taken apart.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Final

import attrs
import orjson

from tinyagent_actors._redact import is_free_of_marks, redact
from tinyagent_actors.events import (
    AgentEndEvent,
    Event,
    Gap,
    MessageEndEvent,
    MessageStartEvent,
    ToolExecutionEndEvent,
    ToolExecutionStartEvent,
    TurnEndEvent,
    unstructure,
)
from tinyagent_actors.messages import Message

REMEMBERED_BYTES: Final = 4 * 1024 * 1024
"""Texts of messages that are kept for the next event that holds them."""
_HEADER: Final = tuple(field.name for field in attrs.fields(Event))
_header_of: Final = attrgetter(*_HEADER)
_CALL: Final = ("tool_call_id", "tool_name", "args")
_call_of: Final = attrgetter(*_CALL)
_OUTCOME: Final = ("tool_call_id", "tool_name", "result", "is_error", "outcome", "seconds", "deadline")
_outcome_of: Final = attrgetter(*_OUTCOME)
_MESSAGES: Final = tuple((name, b',"%b":' % name.encode()) for name in ("message", "messages", "tool_results"))
"""Members of a record that hold messages, and how they begin in a line."""
_PLAIN_ONLY: Final = (
    orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
)
"""What is no plain JSON value is refused, and left to `redact`."""
_LEAST_INT: Final = -(2**63)
_LARGEST_INT: Final = 2**64 - 1


@attrs.frozen
class Rendered:
    """A member of a record that is JSON already, and free of secrets."""

    text: bytes


@attrs.define(eq=False)
class Recorder:
    """Makes records of events, for one log."""

    _known: dict[int, tuple[Message, Rendered]] = attrs.field(factory=dict, init=False)
    """Messages by identity; each is kept alive, so that none takes another's place."""
    _size: int = attrs.field(default=0, init=False)

    def record(self, event: Event | Gap) -> dict[str, Any]:
        """Give what the log tells of an event; its messages stand in it as `Rendered`."""
        if isinstance(event, MessageStartEvent | MessageEndEvent):
            parts: dict[str, Any] = {"message": self._message(event.message)}
        elif isinstance(event, TurnEndEvent):
            parts = {"message": self._message(event.message), "tool_results": self._messages(event.tool_results)}
        elif isinstance(event, AgentEndEvent):
            error = event.error and unstructure(event.error)
            parts = {"messages": self._messages(event.messages), "error": error}
            parts |= {"by": event.by, "why": event.why, "source": event.source}
        elif isinstance(
            event, ToolExecutionStartEvent
        ):  # the most frequent, with what a model sent: plain JSON already
            parts = dict(zip(_CALL, _call_of(event), strict=True))
        elif isinstance(event, ToolExecutionEndEvent):
            parts = dict(zip(_OUTCOME, _outcome_of(event), strict=True))
            parts["result"] = unstructure(event.result)
            parts["error"] = event.error and unstructure(event.error)
        else:
            record = unstructure(event)
            del record["type"]
            return record
        return dict(zip(_HEADER, _header_of(event), strict=True)) | parts

    def _messages(self, messages: tuple[Message, ...]) -> Rendered:
        return Rendered(b"[%b]" % b",".join([self._message(message).text for message in messages]))

    def _message(self, message: Message) -> Rendered:
        known = self._known.get(id(message))
        if known is not None:
            return known[1]
        text = without_secrets(to_json(unstructure(message)))
        self._size += len(text)
        if self._size > REMEMBERED_BYTES:
            self._known.clear()
            self._size = len(text)
        rendered = Rendered(text)
        self._known[id(message)] = (message, rendered)
        return rendered


@attrs.frozen
class Line:
    """A line as it is rendered: with secrets, if there are any, but in its messages."""

    own: bytes
    """An object without the messages."""
    messages: bytes
    """Their members."""

    def without_secrets(self) -> bytes:
        """Give the whole, fit to be written."""
        return self.joined(without_secrets(self.own))

    def joined(self, own: bytes) -> bytes:
        """Lay the messages into the object."""
        return b"%b%b}\n" % (own[:-1], self.messages)


def render(_logger: object, _method: str, record: Any) -> tuple[tuple[Line], dict[str, Any]]:
    """Give a record as a line, as structlog wants it of its last processor."""
    return (line_of(record),), {}


def line_of(record: dict[str, Any]) -> Line:
    """Give a record as a line; its messages are taken out of it."""
    messages = b""
    for name, prefix in _MESSAGES:
        if isinstance(record.get(name), Rendered):
            messages += prefix + record.pop(name).text
    return Line(to_json(record), messages)


def join(lines: list[Line]) -> bytes:
    """Give lines as they are written."""
    if is_free_of_marks(b"".join([line.own for line in lines])):
        return b"".join([line.joined(line.own) for line in lines])
    return b"".join([line.without_secrets() for line in lines])


def without_secrets(text: bytes) -> bytes:
    """Give a JSON text without the secrets that stand in it."""
    return text if is_free_of_marks(text) else to_json(redact(orjson.loads(text)))


def to_json(value: Any) -> bytes:
    """Give JSON, whatever the value: what JSON does not know is told by its class, lone surrogates are replaced."""
    try:
        return orjson.dumps(value, option=_PLAIN_ONLY)
    except TypeError:
        return orjson.dumps(_writable(redact(value)))


def _writable(value: Any) -> Any:
    """Make what `redact` gave fit for JSON: lone surrogates are replaced, integers beyond 64 bits become text."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_writable(name): _writable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_writable(item) for item in value]
    if isinstance(value, int) and not _LEAST_INT <= value <= _LARGEST_INT:
        return str(value)
    return value
