"""Long outputs: cut for the model, kept aside in files that are bounded and go."""

from __future__ import annotations

import os
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from tinyagent_actors import SpecError, open_system
from tinyagent_actors.actors import Runtime
from tinyagent_actors.events import ToolExecutionEndEvent, unstructure
from tinyagent_actors.messages import AgentToolResult, ImageContent, TextContent, ToolCall, ToolResultMessage
from tinyagent_actors.tools import CallBatch, SpillFiles, SpillPolicy, set_spill_policy, spill_files, tool
from tinyagent_actors.tools._result import to_result

LIMIT = 256 * 1024
SHOWN = LIMIT - 1024
"""What is shown of a longer text; the rest is for the marker."""


async def result_of(value: Any, runtime: Runtime) -> ToolResultMessage:
    @tool(name="give it")
    async def give() -> Any:
        """Give."""
        return value

    batch = CallBatch((ToolCall("c", "give it"),), {"give it": give}, runtime=runtime, path="/", run=1, turn=1)
    await batch.wait()
    return batch.results()[0]


def path_in(text: str) -> Path:
    found = re.search(r"(?:is|are) in (/\S+\.txt)\]", text)
    assert found is not None, text[-200:]
    return Path(found[1])


async def test_the_rest_is_kept_in_a_file() -> None:
    """T17: the model gets 256 KiB and a marker that says where all of it is; nobody else may read the file."""
    runtime = Runtime("test")
    text = "0123456789" * 1_000_000
    result = await result_of(text, runtime)
    path = path_in(result.text)

    assert len(result.text) < LIMIT + 1
    assert result.text.startswith(text[:SHOWN])
    assert f"10000000 characters in all, the first {SHOWN} are shown" in result.text
    assert path.read_text() == text
    assert path.stat().st_mode & 0o077 == 0
    await runtime.close_resources()
    assert not path.parent.exists()


async def test_a_hundred_megabytes() -> None:
    """T17: neither the event nor the message holds it, and no copy of it is made on the way."""
    runtime = Runtime("test")
    events = runtime.bus.open_subscription("**")
    value = {"text": "x" * 100_000_000}
    tracemalloc.start()
    result = await result_of(value["text"], runtime)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    told = []
    while (event := events.next_nowait()) is not None:
        told += [event] if isinstance(event, ToolExecutionEndEvent) else []

    assert len(str(unstructure(told[0]))) < LIMIT + 2_000
    assert len(result.text) < LIMIT + 1
    assert peak < 30_000_000
    assert path_in(result.text).stat().st_size == SpillPolicy().file_bytes
    await runtime.close_resources()


async def test_details_and_blocks_are_bounded_too() -> None:
    """T17: what programs get beside the text, images and the number of blocks."""
    runtime = Runtime("test")
    listed = await result_of(["x" * 1000] * 2000, runtime)
    told = await result_of(AgentToolResult((TextContent("short"),), details={"x": "y" * 2_000_000}), runtime)
    blocks = await result_of(AgentToolResult(tuple(TextContent(str(n)) for n in range(5000))), runtime)
    image = await result_of(AgentToolResult((ImageContent(data="A" * 20_000_000),)), runtime)

    assert listed.details is None
    assert "cut: " in listed.text
    assert (told.text, told.details) == ("short", None)
    assert len(blocks.content) == 257
    assert "5000 blocks in all" in blocks.text
    assert image.text == "[an image was left out: 20000000 characters of base64]"
    await runtime.close_resources()


async def test_several_blocks_share_the_limit() -> None:
    """T17: the text of all blocks counts; an image between them stays; the file holds all texts."""
    runtime = Runtime("test")
    image = ImageContent(url="https://example.org/a.png")
    value = AgentToolResult((TextContent("a" * LIMIT), image, TextContent("b" * 10), TextContent("c")))
    result = await result_of(value, runtime)

    assert [type(block) for block in result.content] == [TextContent, ImageContent]
    assert result.text.count("a") >= SHOWN
    assert "b" * 10 not in result.text
    assert path_in(result.text).read_text() == "a" * LIMIT + "\n" + "b" * 10 + "\n" + "c"
    await runtime.close_resources()


@pytest.mark.parametrize("text", ["é" * 200_000, "\ud800" * 300_000, "\0" * 300_000, "𝄞" * 70_000])
async def test_what_is_cut_can_be_encoded(text: str) -> None:
    """T17: cut between characters, without lone surrogates or NUL, here and in the file."""
    runtime = Runtime("test")
    result = await result_of(text, runtime)
    shown = result.text.encode()

    assert len(shown) < LIMIT + 1
    assert "\0" not in result.text
    assert path_in(result.text).read_bytes().decode().replace("\ufffd", "") == text.strip("\ud800\0")
    await runtime.close_resources()


async def test_what_just_fits_is_not_cut() -> None:
    """T17: 256 KiB to the byte pass whole, one byte more does not."""
    runtime = Runtime("test")

    assert (await result_of("é" * (LIMIT // 2), runtime)).text == "é" * (LIMIT // 2)
    assert "cut: " in (await result_of("é" * (LIMIT // 2) + "x", runtime)).text
    await runtime.close_resources()


async def test_files_are_bounded_in_size_and_number(tmp_path: Path) -> None:
    """T17: of a file that is full the rest is dropped and told; of too many the oldest goes."""
    runtime = Runtime("test")
    spill_files(runtime).policy = SpillPolicy(tmp_path / "new", file_bytes=300_000, files=2)
    paths = [path_in((await result_of("x" * 400_000, runtime)).text) for _ in range(3)]

    assert [path.exists() for path in paths] == [False, True, True]
    assert paths[2].stat().st_size == 300_000
    assert "the first 300000 bytes are in" in (await result_of("x" * 400_000, runtime)).text
    await runtime.close_resources()
    assert list((tmp_path / "new").iterdir()) == []


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """T17: the tool's result is cut and says why the rest is lost; the call does not fail by it."""
    runtime = Runtime("test")
    (tmp_path / "file").write_text("in the way")
    spill_files(runtime).policy = SpillPolicy(tmp_path / "file" / "below")
    result = await result_of("x" * 400_000, runtime)

    assert not result.is_error
    assert "the rest could not be kept: Not a directory" in result.text


async def test_a_disk_that_is_full() -> None:
    """T17: what the disk refuses is told, not raised."""
    files = SpillFiles()
    file = files.open("x")
    os.close(file._fd)
    file._fd = os.open("/dev/full", os.O_WRONLY)
    file.write(b"x" * 100)
    file.close()

    assert file.told() == "the rest could not be kept: No space left on device"
    await files.aclose()


@pytest.mark.parametrize("keep", [False, True])
async def test_files_go_with_the_system_unless_they_are_kept(tmp_path: Path, keep: bool) -> None:  # noqa: FBT001
    """T17: removed when the system has ended; kept where that was asked for."""
    async with open_system() as system:
        set_spill_policy(SpillPolicy(tmp_path, keep=keep))
        path = path_in((await result_of("x" * 400_000, system.runtime)).text)
        assert path.exists()

    assert path.exists() is keep


async def test_what_was_cut_is_not_cut_again() -> None:
    """T17: the marker stays when a result is bounded once more, as after a hook."""
    once = to_result("x" * 400_000)

    assert to_result(once) == once


async def test_progress_makes_no_file() -> None:
    """T17: what a tool tells on the way is cut as well, and nothing is kept of it."""
    result = to_result("x" * 400_000)

    assert isinstance(result.content[0], TextContent)
    assert result.content[0].text.endswith("are shown]")


def test_a_policy_that_is_wrong() -> None:
    """The error names the field."""
    with pytest.raises(SpecError) as caught:
        SpillPolicy(files=0)

    assert caught.value.field == "files"
