"""Replies as values: what the fake endpoint says, and what goes wrong while it says it.

A `Reply` has four parts. Its *content* (text, thinking, tool calls, finish, usage) is rendered in the dialect of the request;
or `body` or `chunks` are sent as they are. Its *HTTP side* is status, headers, framing and encoding. Its `delivery` says how
the bytes are cut into writes and how long each waits. Its `fault` says where the answer stalls or breaks off.

Positions count bytes of the body as it is sent (after gzip, before the framing of HTTP), or chunks: an event of a rendered
reply, a member of `chunks`. Negative positions count from the end, so that ``Cut(after_chunks=-1)`` leaves out the last event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Literal

import attrs
import orjson

from tinyagent_actors._errors import SpecError

Framing = Literal["auto", "chunked", "length", "close"]
Encoding = Literal["identity", "gzip"]

_FRAMINGS: Final = ("auto", "chunked", "length", "close")
_ENCODINGS: Final = ("identity", "gzip")
_MIN_STATUS: Final = 200
_MAX_STATUS: Final = 599
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWNED_HEADERS: Final = {
    "content-length": "framing",
    "transfer-encoding": "framing",
    "content-encoding": "encoding",
    "retry-after": "retry_after",
}


def _check_text(_owner: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise SpecError(field.name, f"must be a text, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SpecError(field.name, "holds a lone surrogate; send raw bytes with `chunks`") from None


def _check_flag(_owner: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        raise SpecError(field.name, f"must be true or false, not {value!r}")


def _check_seconds(_owner: object, field: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise SpecError(field.name, f"must be a number of seconds, 0 or more, not {value!r}")


def _check_position(_owner: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise SpecError(field.name, f"must be a whole number, not {value!r}")


def _check_size(_owner: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise SpecError(field.name, f"must be a whole number, 1 or more, not {value!r}")


def _one_of(field: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SpecError(field, f"must be one of {', '.join(allowed)}, not {value!r}")


@attrs.frozen
class CallSpec:
    """A tool call that a reply asks for."""

    name: str = attrs.field(validator=_check_text)
    arguments: Mapping[str, Any] | str = attrs.field(factory=dict[str, Any])
    """An object; or a text, sent as it is (for arguments that are broken)."""
    id: str | None = attrs.field(default=None, validator=attrs.validators.optional(_check_text))
    """``None``: ``call_N``, N counting the calls of the whole conversation from 0."""

    @arguments.validator
    def _check_arguments(self, field: attrs.Attribute[Any], value: object) -> None:
        if isinstance(value, str):
            _check_text(self, field, value)
            return
        if not isinstance(value, Mapping):
            raise SpecError("arguments", f"must be an object or a text, not {type(value).__name__}")
        try:
            orjson.dumps(value)
        except TypeError as error:
            raise SpecError("arguments", f"cannot be written as JSON: {error}") from None

    @property
    def arguments_text(self) -> str:
        """The arguments as the JSON text that goes over the wire."""
        return self.arguments if isinstance(self.arguments, str) else orjson.dumps(self.arguments).decode()


@attrs.frozen(kw_only=True)
class Fault:
    """Where an answer goes wrong. Neither position: before anything is sent. `after_bytes=0`: after the head."""

    after_bytes: int | None = attrs.field(default=None, validator=_check_position)
    after_chunks: int | None = attrs.field(default=None, validator=_check_position)

    def __attrs_post_init__(self) -> None:
        if self.after_bytes is not None and self.after_chunks is not None:
            raise SpecError("after_chunks", "a fault is after bytes or after chunks, not both")

    @property
    def before_head(self) -> bool:
        """Whether it strikes before the status line."""
        return self.after_bytes is None and self.after_chunks is None

    def place(self, sizes: Sequence[int]) -> int:
        """Give the byte of the body that it strikes before, for chunks of these sizes.

        Raises:
            SpecError: The body is shorter than that: a fault that never strikes is a mistake in the script.
        """
        name, wanted, length = (
            ("after_bytes", self.after_bytes or 0, sum(sizes))
            if self.after_chunks is None
            else ("after_chunks", self.after_chunks, len(sizes))
        )
        found = wanted + length if wanted < 0 else wanted
        if not 0 <= found <= length:
            raise SpecError(f"fault.{name}", f"{wanted} is outside of the body, which has {length}")
        return found if self.after_chunks is None else sum(sizes[:found])


@attrs.frozen(kw_only=True)
class Stall(Fault):
    """Silence, with the connection open, for `seconds`; then the rest. ``None``: until the client leaves."""

    seconds: float | None = attrs.field(default=None, validator=attrs.validators.optional(_check_seconds))


@attrs.frozen(kw_only=True)
class Cut(Fault):
    """The connection is closed in order (FIN), though the answer is not complete."""


@attrs.frozen(kw_only=True)
class Reset(Fault):
    """The connection is torn down (RST)."""


def _positions(value: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise SpecError("split_at", "must be a list of byte positions")
    return tuple(value)


@attrs.frozen(kw_only=True)
class Delivery:
    """How the bytes of a body are cut into writes, and how long each write waits. The default is: at full speed."""

    delay_head: float = attrs.field(default=0.0, validator=_check_seconds)
    """Seconds before the status line and headers."""
    delay_body: float = attrs.field(default=0.0, validator=_check_seconds)
    """Seconds between the headers and the first byte of the body."""
    delay_between: float = attrs.field(default=0.0, validator=_check_seconds)
    """Seconds between two writes of the body."""
    split_at: tuple[int, ...] = attrs.field(default=(), converter=_positions)
    """Byte positions: the body is written in exactly the pieces between them. Those past its end split nothing."""
    split_every: int | None = attrs.field(default=None, validator=_check_size)
    """The body is written in pieces of this many bytes."""
    coalesce: bool = attrs.field(default=True, validator=_check_flag)
    """Whether events of a rendered reply may share a write, up to 64 KiB, where nothing above says otherwise."""

    @split_at.validator
    def _check_split_at(self, _field: attrs.Attribute[Any], value: tuple[object, ...]) -> None:
        last = 0
        for position in value:
            if isinstance(position, bool) or not isinstance(position, int) or position <= last:
                raise SpecError("split_at", f"must be rising whole numbers from 1 on; {position!r} is not")
            last = position

    def __attrs_post_init__(self) -> None:
        if self.split_at and self.split_every is not None:
            raise SpecError("split_every", "a body is split at positions or every so many bytes, not both")


def _pairs(value: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    items = value.items() if isinstance(value, Mapping) else value
    try:
        pairs = tuple((name, text) for name, text in items)
    except (TypeError, ValueError):
        raise SpecError("headers", "must be an object, or pairs of name and value") from None
    for name, text in pairs:
        _check_header(name, text)
    return pairs


def _check_header(name: object, value: object) -> None:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise SpecError("headers", f"{name!r} is not the name of a header")
    if name.lower() in _OWNED_HEADERS:
        raise SpecError("headers", f"{name} is set with `{_OWNED_HEADERS[name.lower()]}`")
    if not isinstance(value, str) or not value.isascii() or any(char in value for char in "\r\n\0"):
        raise SpecError("headers", f"the value of {name} must be an ASCII text in one line")


def _calls(value: Sequence[CallSpec]) -> tuple[CallSpec, ...]:
    if not isinstance(value, Sequence) or not all(isinstance(call, CallSpec) for call in value):
        raise SpecError("tool_calls", "must be a list of CallSpec")
    return tuple(value)


def _raw_chunks(value: Sequence[bytes] | None) -> tuple[bytes, ...] | None:
    if value is None:
        return None
    if (
        isinstance(value, str | bytes)
        or not isinstance(value, Sequence)
        or not all(isinstance(c, bytes) for c in value)
    ):
        raise SpecError("chunks", "must be a list of bytes")
    return tuple(value)


@attrs.frozen(kw_only=True)
class Reply:
    """One answer of the fake endpoint.

    Example:
        A slow answer that breaks off before its last event::

            Reply(text="Hello, world", delivery=Delivery(delay_between=0.05), fault=Cut(after_chunks=-1))
    """

    text: str = attrs.field(default="", validator=_check_text)
    """What the model says. With a status from 400 on: the message of the error."""
    thinking: str = attrs.field(default="", validator=_check_text)
    tool_calls: tuple[CallSpec, ...] = attrs.field(default=(), converter=_calls)
    finish: str | None = attrs.field(default="auto")
    """The finish reason: ``auto`` is ``tool_calls`` where there are any, else ``stop``; ``None`` sends none."""
    usage: Mapping[str, Any] | Literal["auto"] | None = attrs.field(default="auto")
    """``auto``: an estimate (4 bytes a token), sent where the request asks for it. An object is always sent."""
    done: bool = attrs.field(default=True, validator=_check_flag)
    """Whether ``[DONE]`` ends the stream."""
    chunk_size: int | None = attrs.field(default=32, validator=_check_size)
    """Characters a delta; ``None``: each text and each call's arguments whole."""

    body: bytes | None = attrs.field(default=None)
    """Sent as it is, in place of the content."""
    chunks: tuple[bytes, ...] | None = attrs.field(default=None, converter=_raw_chunks)
    """Sent as they are, in place of the content, a write each."""

    status: int = attrs.field(default=200)
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), converter=_pairs)
    """Pairs (or an object). They replace the endpoint's own, such as ``content-type``."""
    retry_after: float | str | None = attrs.field(default=None)
    """``Retry-After``: seconds, or a text that is sent as it is (such as an HTTP date)."""
    framing: Framing = attrs.field(default="auto")
    """``chunked``, ``length``, ``close`` (the end of the connection ends the body), or what suits."""
    encoding: Encoding = attrs.field(default="identity")
    close: bool = attrs.field(default=False, validator=_check_flag)
    """Whether the connection is closed after this answer."""

    delivery: Delivery = attrs.field(factory=Delivery, validator=attrs.validators.instance_of(Delivery))
    fault: Stall | Cut | Reset | None = attrs.field(default=None)

    @finish.validator
    def _check_finish(self, field: attrs.Attribute[Any], value: object) -> None:
        if value is not None:
            _check_text(self, field, value)

    @usage.validator
    def _check_usage(self, _field: attrs.Attribute[Any], value: object) -> None:
        if value is not None and value != "auto" and not isinstance(value, Mapping):
            raise SpecError("usage", f"must be an object, 'auto' or nothing, not {value!r}")

    @body.validator
    def _check_body(self, _field: attrs.Attribute[Any], value: object) -> None:
        if value is not None and not isinstance(value, bytes):
            raise SpecError("body", f"must be bytes, not {type(value).__name__}")

    @status.validator
    def _check_status(self, _field: attrs.Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not _MIN_STATUS <= value <= _MAX_STATUS:
            raise SpecError("status", f"must be from {_MIN_STATUS} to {_MAX_STATUS}, not {value!r}")

    @retry_after.validator
    def _check_retry_after(self, field: attrs.Attribute[Any], value: object) -> None:
        if isinstance(value, str):
            _check_header("x-retry-after", value)
        elif value is not None:
            _check_seconds(self, field, value)

    @fault.validator
    def _check_fault(self, _field: attrs.Attribute[Any], value: object) -> None:
        if value is not None and not isinstance(value, Stall | Cut | Reset):
            raise SpecError("fault", f"must be a Stall, a Cut or a Reset, not {value!r}")

    def __attrs_post_init__(self) -> None:
        _one_of("framing", self.framing, _FRAMINGS)
        _one_of("encoding", self.encoding, _ENCODINGS)
        if self.body is not None and self.chunks is not None:
            raise SpecError("chunks", "a reply has a body or chunks, not both")
        if self.raw and (self.text or self.thinking or self.tool_calls):
            raise SpecError("body" if self.body is not None else "chunks", "a reply has raw bytes or content, not both")

    @property
    def raw(self) -> bool:
        """Whether it is sent as it is, and not rendered."""
        return self.body is not None or self.chunks is not None

    @classmethod
    def events(cls, *events: Mapping[str, Any] | str | bytes, **options: Any) -> Reply:
        """Give a reply of server-sent events: an object is written as JSON, a text is data, bytes are sent as they are.

        Args:
            events: One chunk each.
            options: Further fields of `Reply`.
        """
        return cls(chunks=tuple(sse(event) for event in events), **options)

    @classmethod
    def error(
        cls, status: int, message: str, *, code: str | int | None = None, kind: str = "", **options: Any
    ) -> Reply:
        """Give an error in OpenAI's shape.

        Args:
            status: From 400 on.
            message: What it says.
            code: `error.code`.
            kind: `error.type`; "" goes by the status.
            options: Further fields of `Reply`.
        """
        return cls(status=status, body=error_body(status, message, code=code, kind=kind), **options)

    @classmethod
    def rate_limited(cls, retry_after: float | str | None = 1.0, **options: Any) -> Reply:
        """Give a 429 that says when to come back, in seconds or as a text that is sent as it is."""
        return cls.error(429, "Rate limit reached", code="rate_limit_exceeded", retry_after=retry_after, **options)


_ERROR_KINDS: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def error_body(
    status: int, message: str, *, code: str | int | None = None, kind: str = "", param: str | None = None
) -> bytes:
    """Give the JSON body of an error, in OpenAI's shape."""
    kind = (
        kind
        or _ERROR_KINDS.get(status)
        or ("invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error")
    )
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})


def sse(event: Mapping[str, Any] | str | bytes) -> bytes:
    """Give one server-sent event: an object as JSON, a text as data (one line per ``data:``), bytes as they are."""
    if isinstance(event, bytes):
        return event
    data = event if isinstance(event, str) else orjson.dumps(event).decode()
    return "".join(f"data: {line}\n" for line in data.split("\n")).encode() + b"\n"
