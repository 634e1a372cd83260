"""From whatever a tool returned to blocks for the model, bounded and encodable.

What is longer than `OUTPUT_LIMIT` is cut before it enters a mailbox, an event or a prompt; `to_kept_result` keeps all of it in a
file that the marker names. Nothing of a long text is copied whole: it is encoded piece by piece.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs
import orjson
import trio

from tinyagent_actors._errors import ForeignError
from tinyagent_actors.messages import AgentToolResult, Content, ImageContent, TextContent
from tinyagent_actors.tools._spill import SpillFile, SpillFiles

OUTPUT_LIMIT: Final = 256 * 1024
"""Bytes of text that one result gives to the model."""
IMAGE_LIMIT: Final = 16 * 1024 * 1024
"""Characters of one image, in base64."""
DETAILS_LIMIT: Final = 1024 * 1024
"""Bytes of JSON that the details of one result may have; of more there are none."""
MOST_BLOCKS: Final = 256
"""Blocks of one result."""
_MARKER_ROOM: Final = 1024
"""Bytes of the limit that are left for the marker: what was cut once fits, and is not cut again."""
_PIECE: Final = 1024 * 1024


def to_result(value: object) -> AgentToolResult:
    """Give the result for what a tool returned.

    Raises:
        TypeError: No model can read it: bytes, or something that JSON cannot say.
    """
    return _bounded(made_result(value))


def made_result(value: object) -> AgentToolResult:
    """Give the result for what a tool returned, of any length.

    Raises:
        TypeError: No model can read it.
    """
    if isinstance(value, AgentToolResult):
        return value
    if isinstance(value, str):
        return AgentToolResult((TextContent(value),))
    if value is None:
        return AgentToolResult((TextContent("done"),))
    if isinstance(value, bytes | bytearray | memoryview):
        message = "a tool must not return bytes; decode them, or give an image"
        raise TypeError(message)
    return AgentToolResult((TextContent(_as_json(value)),), details=value)


def _as_json(value: object) -> str:
    try:
        return orjson.dumps(value, default=plain).decode()
    except (TypeError, orjson.JSONEncodeError) as error:
        message = f"what the tool returned cannot be said in JSON: {error}"
        raise TypeError(message) from error


def plain(value: object) -> object:
    """Give what JSON can say of a value that it does not know.

    Raises:
        TypeError: Nothing.
    """
    if attrs.has(type(value)):
        return attrs.asdict(value, recurse=False)  # type: ignore[arg-type]  # just checked
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


async def to_kept_result(value: object, spill: SpillFiles, name: str) -> AgentToolResult:
    """Give the result for what a tool returned, as `to_result`; what is too long for the model is kept in a file.

    A long result is dealt with in a thread, and whoever cancels waits for it: the tool has finished.

    Args:
        value: What it returned.
        spill: Where files are made.
        name: The tool's.

    Raises:
        TypeError: No model can read it.
    """
    result = made_result(value)
    if _is_short(result):
        return _bounded(result)
    with trio.CancelScope(shield=True):
        result = await trio.to_thread.run_sync(_kept, result, spill, name)
    return result  # noqa: RET504  # a scope may swallow, as far as a type checker knows


def _kept(result: AgentToolResult, spill: SpillFiles, name: str) -> AgentToolResult:
    if _is_within_limit(_texts(result)):
        return _bounded(result)
    file = spill.open(name)
    try:
        for number, text in enumerate(_texts(result)):
            if number:
                file.write(b"\n")
            for start in range(0, len(text), _PIECE):
                file.write(encodable(text[start : start + _PIECE]).encode())
    finally:
        file.close()
    return _bounded(result, file)


def _texts(result: AgentToolResult) -> list[str]:
    return [block.text for block in result.content if isinstance(block, TextContent)]


def _is_within_limit(texts: list[str]) -> bool:
    total = sum(map(len, texts))
    return total * 4 <= OUTPUT_LIMIT or (
        total <= OUTPUT_LIMIT and sum(len(encodable(text).encode()) for text in texts) <= OUTPUT_LIMIT
    )


def _is_short(result: AgentToolResult) -> bool:
    return sum(map(len, _texts(result))) * 4 <= OUTPUT_LIMIT


def _bounded(result: AgentToolResult, file: SpillFile | None = None) -> AgentToolResult:
    """Cut what is beyond the limits, with a marker, and make all texts encodable."""
    details = result.details if _is_small(result.details) else None
    if (
        details is result.details
        and len(result.content) <= MOST_BLOCKS
        and _is_short(result)
        and all(isinstance(block, TextContent) and _is_fine(block.text) for block in result.content)
    ):
        return result
    blocks: list[Content] = []
    left = OUTPUT_LIMIT if _is_within_limit(_texts(result)) else OUTPUT_LIMIT - _MARKER_ROOM
    shown, is_cut = 0, False
    for block in result.content[:MOST_BLOCKS]:
        if isinstance(block, ImageContent) and len(block.data or "") > IMAGE_LIMIT:
            blocks.append(TextContent(f"[an image was left out: {len(block.data or '')} characters of base64]"))
        elif not isinstance(block, TextContent):
            blocks.append(block)
        elif not is_cut:
            data = encodable(block.text[: left + 1]).encode()
            text = data[:left].decode("utf-8", "ignore")
            left, shown = left - len(data), shown + len(text)
            is_cut = left < 0 or len(block.text) > len(data)
            blocks.append(attrs.evolve(block, text=text + _marker(result, shown, file) if is_cut else text))
    if len(result.content) > MOST_BLOCKS:
        blocks.append(TextContent(f"[cut: {len(result.content)} blocks in all, the first {MOST_BLOCKS} are shown]"))
    return attrs.evolve(result, content=tuple(blocks), details=details)


def _marker(result: AgentToolResult, shown: int, file: SpillFile | None) -> str:
    kept = f"; {file.told()}" if file is not None else ""
    return f"\n[cut: {sum(map(len, _texts(result)))} characters in all, the first {shown} are shown{kept}]"


def _is_small(details: object) -> bool:
    """Whether details may go on: JSON cannot say how long some are; those stay with programs, as they are."""
    if details is None:
        return True
    try:
        return len(orjson.dumps(details, default=plain)) <= DETAILS_LIMIT
    except (TypeError, orjson.JSONEncodeError):
        return True


def _is_fine(text: str) -> bool:
    return text.isascii() and "\0" not in text


def encodable(text: str) -> str:
    """Give a text that any request can carry: no lone surrogates, no NUL."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")


def error_text(error: BaseException) -> str:
    """Say what a tool raised, for the model: type and text of the one leaf, or of each of several."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(error_text(part) for part in error.exceptions)
    if isinstance(error, ForeignError):
        return encodable(str(error))[:4000]
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  # an exception whose __str__ raises is still told by its type
        text = ""
    return encodable(f"{type(error).__name__}: {text}" if text else type(error).__name__)[:4000]
