"""Items: what a decoder says, one `(kind, payload)` at a time. `docs/explanation/engine-boundary.md` defines them."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

TEXT: Final = 0
"""`str`: a piece of text, never empty."""
THINKING: Final = 1
"""`str`: a piece of thinking, never empty."""
CALL_OPEN: Final = 2
"""`int`: a tool call was first seen; its ordinal."""
CALL_ARGS: Final = 3
"""`(int, str)`: a piece of the raw argument text of that call, never empty."""
CALL: Final = 4
"""`(int, str, str, str | None)`: at the end; ordinal, id (blank: none), name, JSON text of the members we do not know."""
META: Final = 5
"""`(str, str)`: ``response_id`` or ``model`` and its value."""
USAGE: Final = 6
"""Seven counters at the end: prompt, completion, total, cached, written, reasoning (int or None), cost (float or None)."""
DETAILS: Final = 7
"""`str`: at the end; JSON text of the merged reasoning details."""
FINISH: Final = 8
"""`str`: a raw finish reason, never empty."""
REFUSAL: Final = 9
"""`None`: once; a refusal was seen."""
ERROR: Final = 10
"""`(str, str)`: last; code and text."""
END: Final = 11
"""`None`: last; the message ended properly."""
HEAD: Final = 12
"""`(int, list[tuple[str, str]])`: engines only; status and headers, names in lower case."""
BODY: Final = 13
"""`bytes`: engines only; a piece of the body of a response whose status is not 200."""
RAW: Final = 20
"""`(float, bytes)`: engines only, where it was asked for; when (in seconds since the request) which bytes of the body came."""
RAW_END: Final = 21
"""`(float, str | None)`: engines only, where it was asked for; when the body ended, and what broke it."""
ACTIVITY: Final = 14
"""`None`: engines only; bytes came that made no item."""
BLOCK_OPEN: Final = 15
"""`(int, str)`: a content block began; its ordinal, and ``text``, ``thinking``, ``tool_use`` or blank for any other type."""
BLOCK_PIECE: Final = 16
"""`(int, str)`: a piece of the text, the thinking or the raw argument text of that block, never empty."""
BLOCK: Final = 17
"""`(int, str)`: that block is complete; JSON text of its other members, or of the whole block where its type was blank."""

Item: TypeAlias = tuple[int, Any]
"""A kind and its payload."""
UsageCounters: TypeAlias = tuple[int | None, int | None, int | None, int | None, int | None, int | None, float | None]
"""The payload of `USAGE`."""
