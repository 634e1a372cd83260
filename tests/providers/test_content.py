"""What an answer is made of: usage, choices, thinking and tool calls (P35 to P69), on every engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.providers.conftest import Answer, Ask
from tinyagent_actors.messages import ThinkingContent
from tinyagent_actors.testing import Reply

STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USED = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def chunk(delta: Any, **more: Any) -> dict[str, Any]:
    """Give a chunk with that delta."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}], **more}


def call(**members: Any) -> dict[str, Any]:
    """Give a chunk with one piece of a tool call: `name` and `arguments` are its function's."""
    function = {key: members.pop(key) for key in ("name", "arguments") if key in members}
    return chunk({"tool_calls": [{**members, "function": function}]})


def made(answer: Answer) -> list[tuple[str, Any]]:
    """Give the calls that may run."""
    return [(made.name, dict(made.arguments)) for made in answer.message.tool_calls]


def thinking(answer: Answer) -> str:
    """Give all thinking."""
    return "".join(block.thinking for block in answer.message.content if isinstance(block, ThinkingContent))


async def test_usage_after_the_finish_reason(ask: Ask) -> None:
    """P35: a chunk with empty `choices` and the usage comes after the finish reason."""
    answer = await ask(Reply.events(chunk({"content": "a"}), STOP, {"choices": [], "usage": USED}, "[DONE]"))

    usage = answer.message.usage
    assert usage is not None
    assert (usage.input, usage.output, usage.total_tokens) == (10, 5, 15)


async def test_usage_inside_of_a_choice(ask: Ask) -> None:
    """P36: some put it there."""
    finish = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USED}]}

    answer = await ask(Reply.events(chunk({"content": "a"}), finish, "[DONE]"))

    assert answer.message.usage is not None
    assert answer.message.usage.total_tokens == 15


async def test_the_last_usage_counts(ask: Ask) -> None:
    """P37: cumulative counters in each chunk are not added up."""
    pieces = [chunk({"content": "a"}, usage={**USED, "completion_tokens": number}) for number in (1, 2, 3)]

    answer = await ask(Reply.events(*pieces, STOP, "[DONE]"))

    assert answer.message.usage is not None
    assert answer.message.usage.output == 3


@pytest.mark.parametrize("wrong", [None, -1, 1.5, "7", True, 1e300])
async def test_a_counter_that_is_none_does_not_count_nor_drop_its_chunk(ask: Ask, wrong: object) -> None:
    """P38: null, negative, fractional, huge or no number: not sent; the text beside it stays, as does the earlier value."""
    later = {"prompt_tokens": wrong, "completion_tokens": 6}

    answer = await ask(
        Reply.events(chunk({"content": "a"}, usage=USED), chunk({"content": "b"}, usage=later), STOP, "[DONE]")
    )

    assert answer.text == "ab"
    assert answer.message.usage is not None
    assert (answer.message.usage.input, answer.message.usage.output) == (10, 6)


async def test_no_usage_is_unknown_not_zero(ask: Ask) -> None:
    """P39: where the provider told nothing, or only zeros as a placeholder, usage is None."""
    nothing = await ask(Reply.events(chunk({"content": "a"}, usage=None), STOP, "[DONE]"))
    zeros = await ask(Reply.events(chunk({"content": "a"}, usage={"total_tokens": 0}), STOP, "[DONE]"))

    assert (nothing.message.usage, zeros.message.usage) == (None, None)


async def test_cached_tokens_are_no_input(ask: Ask) -> None:
    """P40: `input` is what was neither read from a cache nor written to one."""
    usage = {
        "prompt_tokens": 2600,
        "completion_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 400},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }

    answer = await ask(Reply.events(chunk({"content": "a"}), STOP, {"choices": [], "usage": usage}, "[DONE]"))

    found = answer.message.usage
    assert found is not None
    assert (found.input, found.cache_read, found.cache_write, found.output, found.reasoning) == (200, 2000, 400, 10, 4)
    assert found.total_tokens == 2610


@pytest.mark.parametrize(
    "event",
    [
        {"choices": [], "prompt_filter_results": [{}]},
        {"choices": [{"index": 0, "content_filter_results": {}}]},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": None},
        {"object": "chat.completion.chunk"},
        {"choices": [None, 3, "x"]},
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}]},
        {"choices": [{"index": 0, "delta": {"role": "", "reasoning_content": ""}}]},
    ],
)
async def test_chunks_without_content_are_passed_over(ask: Ask, event: dict[str, Any]) -> None:
    """P41, P42, P43: filter results, no delta, null choices, a role repeated."""
    answer = await ask(Reply.events(event, chunk({"content": "a"}), event, STOP, "[DONE]"))

    assert (answer.text, answer.kind) == ("a", None)


async def test_only_the_first_choice_counts(ask: Ask) -> None:
    """P44: of interleaved choices those with index 0 (or none)."""
    other = {"choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": "length"}]}

    answer = await ask(Reply.events(chunk({"content": "a"}), other, chunk({"content": "b"}), STOP, other, "[DONE]"))

    assert (answer.text, answer.message.stop_reason) == ("ab", "stop")


async def test_content_in_parts(ask: Ask) -> None:
    """P45: text and thinking as parts of a list."""
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "hel"},
        {"type": "text", "text": "lo"},
    ]

    answer = await ask(Reply.events(chunk({"content": parts}), STOP, "[DONE]"))

    assert (answer.text, thinking(answer)) == ("hello", "hm")


async def test_a_refusal_is_text_and_the_stop_reason(ask: Ask) -> None:
    """P46: its words are text; the message's reason is `refusal`, whatever the finish reason."""
    answer = await ask(Reply.events(chunk({"refusal": "I can"}), chunk({"refusal": "not"}), STOP, "[DONE]"))

    assert (answer.text, answer.message.stop_reason) == ("I cannot", "refusal")


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ('"\\ud83d\\ude00"', '"!"', "😀!"),
        ('"a\\ud83d"', '"\\ude00b"', "a😀b"),
        ('"a\\ud83d"', '"b"', "a�b"),
        ('"\\ude00"', '"b"', "�b"),
    ],
)
async def test_no_lone_surrogate_leaves(ask: Ask, first: str, second: str, text: str) -> None:
    """P47: a pair split over events is joined; a half without the other is U+FFFD; each delta encodes by itself."""
    said = [f'data: {{"choices": [{{"delta": {{"content": {piece}}}}}]}}\n\n'.encode() for piece in (first, second)]

    answer = await ask(Reply.events(*said, STOP, "[DONE]"))

    assert answer.text == text
    for event in answer.events:
        if event.type == "text_delta":
            event.text.encode()


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"reasoning_text": "hm"},
        {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm", "index": 0}]},
        {"reasoning_content": "", "reasoning": "hm"},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "hm", "index": 0}]},
    ],
)
async def test_thinking_under_any_name_and_once(ask: Ask, delta: dict[str, Any]) -> None:
    """P48: the field's name does not matter, an empty one does not hide another, and two with the same text count once."""
    answer = await ask(Reply.events(chunk(delta), chunk({"content": "a"}), STOP, "[DONE]"))

    assert (thinking(answer), answer.text) == ("hm", "a")
    assert answer.types[:4] == ["stream_start", "thinking_start", "thinking_delta", "thinking_end"]


async def test_reasoning_details_are_merged_and_kept_for_their_maker(ask: Ask) -> None:
    """P49: pieces with one index join, the last signature wins, and the array goes back verbatim."""
    first = {"type": "reasoning.text", "text": "one ", "index": 0, "format": "f"}
    second = {"type": "reasoning.text", "text": "two", "index": 0, "signature": "sig"}

    answer = await ask(
        Reply.events(chunk({"reasoning_details": [first]}), chunk({"reasoning_details": [second]}), STOP, "[DONE]")
    )

    assert thinking(answer) == "one two"
    kept = [block.wire["reasoning_details"] for block in answer.message.content if block.wire]  # type: ignore[union-attr]
    merged = {"type": "reasoning.text", "text": "one two", "index": 0, "format": "f", "signature": "sig"}
    assert kept == [[merged]]


@pytest.mark.parametrize(
    ("pieces", "thought", "text"),
    [
        (["<thi", "nk>hm</th", "ink>a"], "hm", "a"),
        (["<think>hm"], "hm", ""),
        (["a</think>b"], "", "ab"),
        (["<think>a<think>b</think>c"], "a<think>b", "c"),
        (["a <thi"], "", "a <thi"),
        (["<think>a</thi"], "a</thi", ""),
    ],
)
async def test_think_tags(ask: Ask, pieces: list[str], thought: str, text: str) -> None:
    """P50: split anywhere; unclosed is thinking to the end; an orphan end is dropped; half a tag is text of its block."""
    deltas = [chunk({"content": piece}) for piece in pieces]

    answer = await ask(Reply.events(*deltas, STOP, "[DONE]"), think_tags=True)

    assert (thinking(answer), answer.text) == (thought, text)


async def test_tags_are_text_where_they_are_not_asked_for(ask: Ask) -> None:
    """P50: without the option a tag is what it looks like."""
    assert (await ask(Reply(text="<think>a</think>"))).text == "<think>a</think>"


async def test_calls_without_an_index(ask: Ask) -> None:
    """P51: new ids open calls; a piece without both belongs to the last one."""
    answer = await ask(
        Reply.events(
            call(id="a", name="f", arguments='{"x":'),
            call(arguments="1}"),
            call(id="b", name="g", arguments="{}"),
            STOP,
            "[DONE]",
        )
    )

    assert made(answer) == [("f", {"x": 1}), ("g", {})]


async def test_new_ids_at_one_index_are_new_calls(ask: Ask) -> None:
    """P52: parallel calls that all say index 0."""
    answer = await ask(
        Reply.events(
            call(index=0, id="a", name="f", arguments="{}"),
            call(index=0, id="b", name="g", arguments="{}"),
            STOP,
            "[DONE]",
        )
    )

    assert made(answer) == [("f", {}), ("g", {})]


async def test_a_call_without_its_head_does_not_run(ask: Ask) -> None:
    """P53: arguments without a name are kept, and never run."""
    answer = await ask(Reply.events(call(index=0, arguments="{}"), STOP, "[DONE]"))

    assert made(answer) == []
    assert len(answer.message.invalid_tool_calls) == 1


async def test_an_id_seen_under_another_index_is_the_same_call(ask: Ask) -> None:
    """P54: the id decides."""
    answer = await ask(
        Reply.events(
            call(index=0, id="a", name="f", arguments='{"x":'), call(index=1, id="a", arguments="1}"), STOP, "[DONE]"
        )
    )

    assert made(answer) == [("f", {"x": 1})]


async def test_interleaved_calls_with_gaps(ask: Ask) -> None:
    """P55: pieces go to the call at their index; the order is that of first sight."""
    answer = await ask(
        Reply.events(
            call(index=5, id="a", name="f", arguments='{"x"'),
            call(index=2, id="b", name="g", arguments='{"y"'),
            call(index=5, arguments=":1}"),
            call(index=2, arguments=":2}"),
            STOP,
            "[DONE]",
        )
    )

    assert made(answer) == [("f", {"x": 1}), ("g", {"y": 2})]


async def test_empty_ids_and_names_change_nothing_and_repeats_neither(ask: Ask) -> None:
    """P56, P57: "" is nothing; a name said again is a repeat, another one is its rest, also after arguments."""
    answer = await ask(
        Reply.events(
            call(index=0, id="a", name="look_", arguments='{"x":'),
            call(index=0, id="", name="", arguments="1"),
            call(index=0, id="a", name="look_", arguments=""),
            call(index=0, id="a", name="up", arguments="}"),
            STOP,
            "[DONE]",
        )
    )

    assert made(answer) == [("look_up", {"x": 1})]


async def test_missing_and_duplicate_ids_are_made_distinct(ask: Ask) -> None:
    """P58, P59: every call has an id of its own."""
    answer = await ask(
        Reply.events(call(index=0, name="f", arguments="{}"), call(index=1, name="g", arguments="{}"), STOP, "[DONE]")
    )

    ids = [each.id for each in answer.message.tool_calls]
    assert len(set(ids)) == 2
    assert all(ids)


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [({"x": [1]}, {"x": [1]}), ("", {}), ("  ", {}), (None, {}), ('{"x": "\\u00e9"}', {"x": "é"})],
)
async def test_arguments_that_may_run(ask: Ask, arguments: object, parsed: dict[str, Any]) -> None:
    """P60, P61: an object is taken; empty, blank or null is {}."""
    answer = await ask(Reply.events(call(index=0, id="a", name="f", arguments=arguments), STOP, "[DONE]"))

    assert made(answer) == [("f", parsed)]


@pytest.mark.parametrize("arguments", ["{", "[1]", "3", '"{}"', '{"x": NaN}', "{}{}", '{"x": 1'])
async def test_arguments_that_may_not(ask: Ask, arguments: str) -> None:
    """P62: what is cut, no object, double-encoded or two objects is an invalid call with its raw text."""
    answer = await ask(Reply.events(call(index=0, id="a", name="f", arguments=arguments), STOP, "[DONE]"))

    assert made(answer) == []
    assert [(bad.name, bad.raw) for bad in answer.message.invalid_tool_calls] == [("f", arguments)]
    assert (answer.kind, answer.message.stop_reason) == (None, "stop")


async def test_arguments_split_inside_of_an_escape(ask: Ask) -> None:
    """P63: pieces may end in the middle of a character's escape."""
    text = '{"x": "\\u00e9\\ud83d\\ude00"}'
    pieces = [call(index=0, arguments=text[place : place + 4]) for place in range(0, len(text), 4)]

    answer = await ask(Reply.events(call(index=0, id="a", name="f"), *pieces, STOP, "[DONE]"))

    assert made(answer) == [("f", {"x": "é😀"})]


async def test_text_between_pieces_of_a_call(ask: Ask) -> None:
    """P64: text does not end the call's arguments."""
    answer = await ask(
        Reply.events(
            call(index=0, id="a", name="f", arguments='{"x"'),
            chunk({"content": "well"}),
            call(index=0, arguments=": 1}"),
            STOP,
            "[DONE]",
        )
    )

    assert made(answer) == [("f", {"x": 1})]
    assert answer.text == "well"


async def test_calls_run_under_the_finish_reason_stop(ask: Ask) -> None:
    """P65: `stop` with calls."""
    answer = await ask(Reply.events(call(index=0, id="a", name="f", arguments="{}"), STOP, "[DONE]"))

    assert (made(answer), answer.message.stop_reason) == ([("f", {})], "stop")


async def test_tool_use_without_calls(ask: Ask) -> None:
    """P66: nothing is made up."""
    answer = await ask(Reply(text="a", finish="tool_calls"))

    assert (answer.message.stop_reason, answer.message.tool_calls) == ("tool_use", ())


async def test_calls_of_a_message_that_was_cut_never_run(ask: Ask) -> None:
    """P67: under `length` no call runs, even where its arguments look whole."""
    length = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}

    answer = await ask(
        Reply.events(
            call(index=0, id="a", name="f", arguments="{}"),
            call(index=1, id="b", name="g", arguments='{"x'),
            length,
            "[DONE]",
        )
    )

    assert (answer.message.stop_reason, answer.message.tool_calls) == ("length", ())


async def test_the_legacy_function_call(ask: Ask) -> None:
    """P68: one call, without an id."""
    answer = await ask(
        Reply.events(
            chunk({"function_call": {"name": "f", "arguments": '{"x":'}}),
            chunk({"function_call": {"arguments": "1}"}}),
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "function_call"}]},
            "[DONE]",
        )
    )

    assert (made(answer), answer.message.stop_reason) == ([("f", {"x": 1})], "tool_use")


async def test_everything_in_one_chunk(ask: Ask) -> None:
    """P69: thinking, then text, then calls; finish and usage beside them."""
    tool = {"index": 0, "id": "a", "function": {"name": "f", "arguments": json.dumps({"x": 1})}}
    delta = {"tool_calls": [tool], "content": "text", "reasoning": "hm"}
    event = {"choices": [{"index": 0, "delta": delta, "finish_reason": "tool_calls"}], "usage": USED}

    answer = await ask(Reply.events(event, "[DONE]"))

    assert [block.type for block in answer.message.content] == ["thinking", "text", "tool_call"]
    assert made(answer) == [("f", {"x": 1})]
    assert answer.message.usage is not None
