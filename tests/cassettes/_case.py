"""How a cassette of the corpus is described."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import attrs

from tinyagent_actors.providers._cassette import (
    Cassette,
    CassetteExchange,
    CassetteRequest,
    CassetteResponse,
    Chunk,
    End,
    Framing,
)

OPENAI: Final = "openai-completions"
ANTHROPIC: Final = "anthropic-messages"
MINIMAX: Final = "minimax-completions"
ZAI: Final = "zai-completions"
DONE: Final = "[DONE]"
STOP: Final[dict[str, Any]] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
LENGTH: Final[dict[str, Any]] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
CALLS: Final[dict[str, Any]] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}

_BASES: Final = {OPENAI: "/v1", MINIMAX: "/v1", ZAI: "/api/paas/v4", ANTHROPIC: ""}
_PATHS: Final = {ANTHROPIC: "/v1/messages"}

Piece = Mapping[str, Any] | str | bytes
"""An event (an object as JSON, or a text as it is), or bytes as they are; each is a piece of the body."""


@attrs.frozen
class Case:
    """A cassette of the corpus."""

    number: str
    """The behaviour, such as ``P01``."""
    name: str
    about: str
    source: str
    """Where the behaviour was documented or met."""
    api: str
    exchanges: tuple[tuple[CassetteResponse, dict[str, Any]], ...]
    options: Mapping[str, Any]
    """Fields of `StreamOptions` that the reader must have."""

    @property
    def file(self) -> str:
        """The file's name."""
        return f"{self.number}-{self.api.partition('-')[0]}-{self.name}.jsonl"

    def cassette(self) -> Cassette:
        """Give it as a cassette; each exchange answers whatever is asked."""
        base = _BASES[self.api]
        request = CassetteRequest(path=_PATHS.get(self.api, f"{base}/chat/completions"))
        return Cassette(
            base=base,
            about={
                "behaviour": self.number,
                "api": self.api,
                "says": self.about,
                "source": self.source,
                "provenance": "written by tests/cassettes/ from documentation and reports; not recorded",
                **({"options": dict(self.options)} if self.options else {}),
            },
            exchanges=tuple(
                CassetteExchange(request=request, response=response, expected=expected)
                for response, expected in self.exchanges
            ),
        )


def case(
    number: str,
    name: str,
    about: str,
    source: str,
    *exchanges: tuple[CassetteResponse, dict[str, Any]],
    api: str = OPENAI,
    **options: Any,
) -> Case:
    """Describe a cassette."""
    return Case(number, name, about, source, api, exchanges, options)


def answer(
    *pieces: Piece,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    framing: Framing = "chunked",
    length: int | None = None,
    end: End = "clean",
    **expected: Any,
) -> tuple[CassetteResponse, dict[str, Any]]:
    """Describe an answer, and what is expected of it; see `expect`."""
    given = {"content-type": "text/event-stream"} if status == 200 else {"content-type": "application/json"}
    response = CassetteResponse(
        status=status,
        headers=tuple({**given, **(headers or {})}.items()),
        framing=framing,
        length=length,
        chunks=tuple(Chunk(to_bytes(piece)) for piece in pieces),
        end=end,
    )
    return response, expect(**expected)


def expect(
    *,
    text: str = "",
    thinking: str = "",
    calls: Sequence[tuple[str, Mapping[str, Any]]] = (),
    invalid: Sequence[tuple[str, str]] = (),
    stop: str = "stop",
    error: str | None = None,
    retryable: bool = False,
    retry_after: float | None = None,
    usage: Mapping[str, int] | None = None,
    content: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Say all that a message should hold. What is not named must be empty; `content` holds members of each block, in order."""
    counters = {"input": 0, "output": 0, "cache_read": 0, "cache_write": 0, "reasoning": 0}
    expected: dict[str, Any] = {
        "stop_reason": "error" if error else stop,
        "text": text,
        "thinking": thinking,
        "tool_calls": [{"name": name, "arguments": arguments} for name, arguments in calls],
        "invalid_tool_calls": [{"name": name, "raw": raw} for name, raw in invalid],
        "error": None if error is None else {"kind": error, "retryable": retryable},
        "usage": None if usage is None else {**counters, **usage},
    }
    if retry_after is not None:
        expected["error"]["retry_after"] = retry_after
    if content is not None:
        expected["content"] = list(content)
    return expected


def to_bytes(piece: Piece) -> bytes:
    """Give the bytes of a piece."""
    if isinstance(piece, bytes):
        return piece
    data = piece if isinstance(piece, str) else dump(piece)
    return f"data: {data}\n\n".encode()


def dump(value: Any) -> str:
    """Give compact JSON with characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def joined(*pieces: Piece) -> bytes:
    """Give pieces as one."""
    return b"".join(map(to_bytes, pieces))


def split(body: bytes, *places: int) -> list[bytes]:
    """Cut a body at these places."""
    return [body[begin:end] for begin, end in pairwise((0, *places, len(body)))]


def say(text: Any, **members: Any) -> dict[str, Any]:
    """Give a chunk with that content."""
    return delta({"content": text}, **members)


def delta(value: Any, **members: Any) -> dict[str, Any]:
    """Give a chunk with that delta."""
    return {"choices": [{"index": 0, "delta": value, "finish_reason": None}], **members}


def call(arguments: Any = None, **members: Any) -> dict[str, Any]:
    """Give a chunk with a piece of a tool call: `name` is its function's."""
    function = {"name": members.pop("name")} if "name" in members else {}
    return delta({"tool_calls": [{**members, "function": {**function, "arguments": arguments}}]})


def finish(reason: str | None, **members: Any) -> dict[str, Any]:
    """Give a chunk with that finish reason."""
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], **members}


def used(prompt: Any, completion: Any, **members: Any) -> dict[str, Any]:
    """Give a chunk with the usage, as it comes after the finish reason."""
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion, **members}}


def gzipped(pieces: Sequence[bytes]) -> list[bytes]:
    """Compress pieces, so that each can be read when it has come."""
    packer = zlib.compressobj(wbits=31)
    packed = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    return [*packed, packer.flush()]
