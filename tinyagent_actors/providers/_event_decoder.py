"""EventDecoder: what the decoders of all dialects have in common, from bytes to the values of events.

Frames, end markers, pages, bodies of JSON, errors that stand in a stream, and the end of a body: the parts of
`docs/explanation/engine-boundary.md` that do not ask what a message looks like. A dialect says what one event means.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

import attrs

from tinyagent_actors.providers._framing import BLANKS, Frame, Framer, NamedEvent
from tinyagent_actors.providers._items import END, ERROR, Item
from tinyagent_actors.providers._json_profile import (
    Json,
    MalformedJsonError,
    canonical,
    is_text,
    is_zero,
    json_string,
    parse_exact,
)

SHOWN_CHARACTERS: Final = 200
"""How much of what could not be read an error shows."""


@attrs.define(eq=False)
class EventDecoder(ABC):
    """Bytes in, items out. No I/O, no clock."""

    think_tags: bool = attrs.field(default=False, kw_only=True)
    event_limit: int = attrs.field(default=64 * 1024 * 1024, kw_only=True)
    """Bytes of one event."""
    done: bool = attrs.field(default=False, init=False)
    """`ERROR` or `END` was given; nothing follows."""
    _framer: Framer = attrs.field(init=False)
    _items: list[Item] = attrs.field(factory=list, init=False)
    _finish: str = attrs.field(default="", init=False)
    """The last finish reason."""
    _object_seen: bool = attrs.field(default=False, init=False)
    """Whether an event came that is an object."""

    def __attrs_post_init__(self) -> None:
        self._framer = Framer(self.event_limit)

    @abstractmethod
    def _take_object(self, event: dict[str, Json]) -> None:
        """Take the object of an event."""

    @abstractmethod
    def _let_go(self) -> None:
        """Let go what is held, and say what is told at the end."""

    def _take_quickly(self, data: bytes) -> bool:  # noqa: ARG002  # a dialect may know some events at a glance
        """Take an event if it is a plain one; give whether it was. Nothing is touched before that is sure."""
        return False

    def feed(self, data: bytes) -> list[Item]:
        """Take bytes of the body; give the items that they make."""
        if self.done:
            return []
        framer = self._framer
        for frame in framer.feed(data):
            if type(frame) is not bytes or not self._take_quickly(frame):
                self._take_frame(frame)
                if self.done:
                    return self._taken()
        if framer.is_too_large:
            self._fail("event_too_large", str(self.event_limit))
        elif framer.is_page_ready:
            self._fail("protocol_error", _shown(framer.whole()))
        return self._taken()

    def end(self, cut: str | None) -> list[Item]:
        """Say that the body ended, by itself or because of `cut`; give the last items."""
        if self.done:
            return []
        framer = self._framer
        if framer.is_page:
            self._fail("protocol_error", _shown(framer.whole()))
        elif framer.is_json:
            self._take_body(framer.whole(), cut)
        else:
            frame = framer.close()
            if frame is not None and _is_whole(frame):
                self._take_frame(frame)
        if not self.done:
            self._conclude(cut)
        return self._taken()

    def _taken(self) -> list[Item]:
        items, self._items = self._items, []
        return items

    def _take_frame(self, frame: Frame) -> None:
        """Take an event of any kind."""
        data, event, error = (frame, b"", b"") if isinstance(frame, bytes) else attrs.astuple(frame)
        error = error.strip(BLANKS)
        if error:
            self._fail("in_band", _canonical_text(error))
            return
        data = data.strip(BLANKS)
        if not data:
            return
        if data == b"[DONE]":
            self._finish_properly()
            return
        is_error = event == b"error"
        try:
            value = parse_exact(data)
        except MalformedJsonError:
            if is_error:
                self._fail("in_band", json_string(data.decode("utf-8", "replace")))
            else:
                self._fail("malformed_event", _shown(data))
            return
        if is_error:
            inner = value.get("error") if isinstance(value, dict) else None
            self._fail("in_band", canonical(value if inner is None else inner))
        else:
            self._take(value)

    def _take_body(self, data: bytes, cut: str | None) -> None:
        """Take a body that is one JSON document."""
        try:
            value = parse_exact(data)
        except MalformedJsonError:
            if cut is None:
                self._fail("malformed_event", _shown(data.strip(BLANKS)))
            else:
                self._fail("truncated", cut)
            return
        self._take(value)
        if not self.done:
            self._close(END, None)

    def _take(self, value: Json) -> None:
        """Take the value of an event."""
        if isinstance(value, list):
            value = next((element for element in value if isinstance(element, dict)), None)
        if isinstance(value, dict):
            self._object_seen = True
            self._take_object(value)

    def _finish_properly(self) -> None:
        if self._object_seen:
            self._close(END, None)
        else:
            self._fail("empty_response", "")

    def _conclude(self, cut: str | None) -> None:
        """End a body that had no end marker."""
        if self._finish:
            self._close(END, None)
        elif cut is None and not self._object_seen:
            self._fail("empty_response", "")
        else:
            self._fail("truncated", cut or "the body ended before the message did")

    def _fail(self, code: str, text: str) -> None:
        self._close(ERROR, (code, text))

    def _close(self, kind: int, payload: object) -> None:
        """Say the last things and be done."""
        self.done = True
        self._let_go()
        self._items.append((kind, payload))


def in_band_error(event: dict[str, Json], choices: list[dict[str, Json]]) -> Json:
    """Give what an event says of an error, or None."""
    error = event.get("error")
    is_empty_beside_choices = error == {} and isinstance(event.get("choices"), list) and bool(event.get("choices"))
    if not _is_nothing(error) and not is_empty_beside_choices:
        return error
    if "error" in (event.get("object"), event.get("type")):
        return event
    base = event.get("base_resp")
    if isinstance(base, dict) and _is_failure(base.get("status_code")):
        return base
    errors = (choice.get("error") for choice in choices)
    return next((error for error in errors if not _is_nothing(error) and error != {}), None)


def _is_nothing(error: Json) -> bool:
    return error is None or error is False or (is_text(error) and not error)


def _is_failure(status: Json) -> bool:
    return isinstance(status, str) and not is_text(status) and not is_zero(status)


def _canonical_text(data: bytes) -> str:
    try:
        return canonical(parse_exact(data))
    except MalformedJsonError:
        return json_string(data.decode("utf-8", "replace"))


def _shown(data: bytes) -> str:
    return data[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace")[:SHOWN_CHARACTERS]


def _is_whole(frame: Frame) -> bool:
    """Whether an event without an end of its own is complete."""
    data = (frame.data if isinstance(frame, NamedEvent) else frame).strip(BLANKS)
    if data == b"[DONE]":
        return True
    try:
        parse_exact(data)
    except MalformedJsonError:
        return False
    return True
