"""From whatever a tool returned to blocks for the model, bounded and encodable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs
import orjson

from tinyagent_actors.messages import AgentToolResult, Content, TextContent

OUTPUT_LIMIT: Final = 256 * 1024
"""Bytes of text that one result gives to the model."""


def to_result(value: object) -> AgentToolResult:
    """Give the result for what a tool returned.

    Raises:
        TypeError: No model can read it: bytes, or something that JSON cannot say.
    """
    if isinstance(value, AgentToolResult):
        return _bounded(value)
    if isinstance(value, str):
        return _bounded(AgentToolResult((TextContent(value),)))
    if value is None:
        return AgentToolResult((TextContent("done"),))
    if isinstance(value, bytes | bytearray | memoryview):
        message = "a tool must not return bytes; decode them, or give an image"
        raise TypeError(message)
    return _bounded(AgentToolResult((TextContent(_as_json(value)),), details=value))


def _as_json(value: object) -> str:
    try:
        return orjson.dumps(value, default=_plain).decode()
    except (TypeError, orjson.JSONEncodeError) as error:
        message = f"what the tool returned cannot be said in JSON: {error}"
        raise TypeError(message) from error


def _plain(value: object) -> object:
    if attrs.has(type(value)):
        return attrs.asdict(value, recurse=False)  # type: ignore[arg-type]  # just checked
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


def _bounded(result: AgentToolResult) -> AgentToolResult:
    """Cut texts beyond the limit, with a marker, and make all of them encodable."""
    if all(isinstance(block, TextContent) and _is_fine(block.text) for block in result.content) and (
        sum(len(block.text) for block in result.content if isinstance(block, TextContent)) * 4 <= OUTPUT_LIMIT
    ):
        return result
    left = OUTPUT_LIMIT
    blocks: list[Content] = []
    for block in result.content:
        if isinstance(block, TextContent):
            data = _encodable(block.text[: OUTPUT_LIMIT + 1]).encode()
            text = data[: max(left, 0)].decode("utf-8", "ignore")
            if len(block.text) > len(text) or len(data) > left:
                text += f"\n[cut: {len(block.text)} characters in all, the first {len(text)} are shown]"
            left -= len(data)
            blocks.append(attrs.evolve(block, text=text))
        else:
            blocks.append(block)
    return attrs.evolve(result, content=tuple(blocks))


def _is_fine(text: str) -> bool:
    return text.isascii() and "\0" not in text


def _encodable(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")


def error_text(error: BaseException) -> str:
    """Say what a tool raised, for the model: type and text of the one leaf, or of each of several."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(error_text(part) for part in error.exceptions)
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  # an exception whose __str__ raises is still told by its type
        text = ""
    return _encodable(f"{type(error).__name__}: {text}" if text else type(error).__name__)[:4000]
