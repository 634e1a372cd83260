"""Bodies without end, for decoders alone. Loads little, so that a process can be measured that reads them."""

from __future__ import annotations

from typing import Any

from tinyagent_actors import _alchemy
from tinyagent_actors.providers._items import ERROR, TEXT
from tinyagent_actors.providers._openai_decoder import OpenAIDecoder

MEBIBYTE = 1024 * 1024
PIECE = 16 * 1024


def make(engine: str, *, event_limit: int) -> Any:
    """Give the decoder of an engine."""
    if engine == "native":
        return _alchemy.Decoder("openai-completions", event_limit=event_limit)
    return OpenAIDecoder(event_limit=event_limit)


ENDLESS: dict[str, tuple[bytes, bytes, str]] = {
    "a line": (b"data: ", b"x", "event_too_large"),
    "a line of another field": (b"junk: ", b"x", "event_too_large"),
    "lines of one event": (b"", b"data: x\n", "event_too_large"),
    "a JSON body": (b'{"a": "', b"x", "event_too_large"),
    "unframed JSON": (b": x\n\n[", b"1,\n", "event_too_large"),
    "a page": (b"<html>", b"x", "protocol_error"),
    "a comment": (b":", b"x", "empty_response"),
    "comments": (b"", b": ping\n\n", "empty_response"),
    "empty events": (b"", b"data:\n\n", "empty_response"),
    "blank lines": (b"", b"\n", "empty_response"),
    "lines of a space": (b"", b" \n", "event_too_large"),
}


def feed_endlessly(decoder: Any, first: bytes, again: bytes, size: int) -> str:
    """Feed a body of that size in pieces, until the decoder has enough; give the code of its error."""
    items = decoder.feed(first)
    piece = again * (PIECE // len(again))
    for _ in range(size // len(piece)):
        if decoder.done:
            break
        items += decoder.feed(piece)
    items += decoder.end(None)
    kind, payload = items[-1]
    assert kind == ERROR
    return str(payload[0])


def warm_up(engine: str) -> None:
    """Load all that decoding takes."""
    read_large(engine, 64)


def read_endless(engine: str, shape: str) -> str:
    """Read 64 MiB against a limit of 8."""
    first, again, _ = ENDLESS[shape]
    decoder = make(engine, event_limit=8 * MEBIBYTE)
    return feed_endlessly(decoder, first, again, 64 * MEBIBYTE)


def read_large(engine: str, size: str | int = 16 * MEBIBYTE) -> int:
    """Read one legal event, in pieces; give how much of its text came."""
    decoder, piece = make(engine, event_limit=64 * MEBIBYTE), b"y" * PIECE
    items = decoder.feed(b'data: {"choices":[{"delta":{"content":"')
    for _ in range(-(-int(size) // PIECE)):
        items += decoder.feed(piece)
    items += decoder.feed(b'"}}]}\n\ndata: [DONE]\n\n')
    return sum(len(payload) for kind, payload in items if kind == TEXT)
