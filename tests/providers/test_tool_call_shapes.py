"""Calls in the shapes that servers send and histories hold (P53 to P67), beyond the simple ones, on every engine."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from tests.providers.conftest import Answer, Ask
from tinyagent_actors.messages import (
    AssistantMessage,
    Context,
    InvalidToolCall,
    Message,
    Model,
    ToolCall,
    ToolResultMessage,
    UserMessage,
)
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.testing import Reply, open_endpoint

STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}


def call(**members: Any) -> dict[str, Any]:
    """Give a chunk with one piece of a call: `name` and `arguments` are its function's."""
    function = {key: members.pop(key) for key in ("name", "arguments") if key in members}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [{**members, "function": function}]}}]}


def made(answer: Answer) -> list[tuple[str, Any]]:
    """Give the calls that may run."""
    return [(made.name, dict(made.arguments)) for made in answer.message.tool_calls]


async def sent(engine: str, *messages: Message) -> list[dict[str, Any]]:
    """Ask with that history, and give the messages that the server received."""
    async with open_endpoint([Reply(text="hi")]) as endpoint:
        model = Model("any", base_url=endpoint.url)
        with trio.fail_after(30):
            async with open_stream(model, Context(messages=messages), StreamOptions(engine=engine)) as stream:  # type: ignore[arg-type]  # one of them
                assert (await stream.result()).text == "hi"
        sent: list[dict[str, Any]] = endpoint.requests[0].json["messages"]
    return sent


async def test_a_head_that_comes_after_its_arguments(ask: Ask) -> None:
    """P53: a head that comes late opens a call of its own; neither half runs."""
    answer = await ask(
        Reply.events(call(index=0, arguments='{"x":'), call(index=0, id="a", name="f", arguments="1}"), STOP, "[DONE]")
    )

    assert made(answer) == []
    assert [bad.name for bad in answer.message.invalid_tool_calls] == ["", "f"]


async def test_a_server_that_says_everything_each_time(ask: Ask) -> None:
    """P57: id, type and name in every piece; only the arguments grow."""
    pieces = [
        call(index=0, id="a", type="function", name="look", arguments=piece) for piece in ("", '{"x"', ": ", "1}")
    ]

    answer = await ask(Reply.events(*pieces, STOP, "[DONE]"))

    assert made(answer) == [("look", {"x": 1})]


async def test_a_call_alone_without_id_and_index(ask: Ask) -> None:
    """P51, P58: it gets an id, and its pieces are its own."""
    answer = await ask(Reply.events(call(name="f", arguments='{"x":'), call(arguments="1}"), STOP, "[DONE]"))

    assert made(answer) == [("f", {"x": 1})]
    assert answer.message.tool_calls[0].id


async def test_a_made_up_id_is_no_other_calls(ask: Ask) -> None:
    """P58: what is made up is not what a later call really has."""
    answer = await ask(Reply.events(call(index=0, name="f"), call(index=1, id="call_1", name="g"), STOP, "[DONE]"))

    ids = [each.id for each in answer.message.tool_calls]
    assert ids[1] == "call_1"
    assert len(set(ids)) == 2


async def test_ids_that_begin_anew_in_each_turn(engine: str) -> None:
    """P59: ``call_0`` in every turn is sent with ids that differ, each result with its own call's."""
    turns: list[Message] = [UserMessage("go")]
    for number in range(3):
        turns += [
            AssistantMessage([ToolCall("call_0", "look", {"n": number})], "tool_use"),
            ToolResultMessage("call_0", "look", f"saw {number}"),
        ]

    messages = await sent(engine, *turns)

    calls = [message["tool_calls"][0] for message in messages if message["role"] == "assistant"]
    results = [message for message in messages if message["role"] == "tool"]
    assert len({call["id"] for call in calls}) == 3
    assert [call["id"] for call in calls] == [result["tool_call_id"] for result in results]
    assert [result["content"] for result in results] == ["saw 0", "saw 1", "saw 2"]


@pytest.mark.parametrize("cut", [99, 3])
@pytest.mark.parametrize("second", ["look", "find"])
async def test_two_calls_of_a_stream_with_one_id(ask: Ask, second: str, cut: int) -> None:
    """P59: a whole call, then one under another index with the same id: both run, under ids that differ."""
    texts = ('{"x": "}"}', '{"y": {}}')
    pieces = [
        call(index=index, **({"id": "call_0", "name": name} if begin == 0 else {}), arguments=text[begin : begin + cut])
        for index, (name, text) in enumerate(zip(("look", second), texts, strict=True))
        for begin in range(0, len(text), cut)
    ]

    answer = await ask(Reply.events(*pieces, STOP, "[DONE]"))

    assert made(answer) == [("look", {"x": "}"}), (second, {"y": {}})]
    first, other = answer.message.tool_calls
    assert first.id == "call_0" != other.id


@pytest.mark.parametrize("head", ['{"x": "}', '{"x": {}', "", '{"x": "\\"}'])
async def test_a_call_that_goes_on_under_another_index(ask: Ask, head: str) -> None:
    """P54, P57: while a call is not whole, its id under another index is that call, name or not."""
    whole = head + {'{"x": "}': '"}', '{"x": {}': "}", "": "{}"}.get(head, '"}')

    answer = await ask(
        Reply.events(
            call(index=0, id="a", name="f", arguments=head),
            call(index=1, id="a", name="f", arguments=whole[len(head) :]),
            STOP,
            "[DONE]",
        )
    )

    assert [name for name, _ in made(answer)] == ["f"]
    assert answer.message.tool_calls[0].arguments == json.loads(whole)


async def test_two_calls_with_one_id(engine: str) -> None:
    """P59: both of a message go out, under ids that differ, with their results in order."""
    twins = AssistantMessage([ToolCall("c", "look", {"n": 1}), ToolCall("c", "look", {"n": 2})], "tool_use")

    messages = await sent(
        engine, UserMessage("go"), twins, ToolResultMessage("c", "look", "one"), ToolResultMessage("c", "look", "two")
    )

    first, second = messages[1]["tool_calls"]
    assert first["id"] != second["id"]
    assert [(message["tool_call_id"], message["content"]) for message in messages[2:]] == [
        (first["id"], "one"),
        (second["id"], "two"),
    ]


async def test_arguments_that_are_not_there(ask: Ask) -> None:
    """P61: without the member, too, they are {}."""
    assert made(await ask(Reply.events(call(index=0, id="a", name="f"), STOP, "[DONE]"))) == [("f", {})]


async def test_an_invalid_call_is_sent_with_empty_arguments(engine: str) -> None:
    """P62: what could not be read goes back as {}, with its one result, so that the conversation stays valid."""
    bad = InvalidToolCall("a", "look", '{"x": ', "cut")

    messages = await sent(
        engine,
        UserMessage("go"),
        AssistantMessage([bad], "tool_use"),
        ToolResultMessage("a", "look", "no", is_error=True),
    )

    (sent_call,) = messages[1]["tool_calls"]
    assert (sent_call["function"], sent_call["id"]) == (
        {"name": "look", "arguments": "{}"},
        messages[2]["tool_call_id"],
    )
    assert "no" in messages[2]["content"]


@pytest.mark.parametrize("finish", ["length", "content_filter", "error"])
async def test_no_call_of_a_message_that_did_not_end_properly(ask: Ask, finish: str) -> None:
    """P67: a call that looks whole is an invalid one, with its raw text, and not only hidden."""
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}

    answer = await ask(Reply.events(call(index=0, id="a", name="f", arguments='{"x":1}'), end, "[DONE]"))

    assert answer.message.tool_calls == ()
    assert [(bad.name, bad.raw) for bad in answer.message.invalid_tool_calls] == [("f", '{"x":1}')]


async def test_cut_arguments_under_a_proper_finish_reason(ask: Ask) -> None:
    """P67: `tool_calls` says that all is well; arguments that are cut still do not run, and are not mended."""
    answer = await ask(
        Reply.events(
            call(index=0, id="a", name="f", arguments='{"path": "/tm'),
            call(index=1, id="b", name="g", arguments="{}"),
            STOP,
            "[DONE]",
        )
    )

    assert (made(answer), answer.message.stop_reason) == ([("g", {})], "tool_use")
    (bad,) = answer.message.invalid_tool_calls
    assert (bad.name, bad.raw) == ("f", '{"path": "/tm')


async def test_calls_of_another_choice_are_not_ours(ask: Ask) -> None:
    """P44: a call of choice 1 neither runs nor mixes with one of choice 0."""
    other = {
        "choices": [
            {
                "index": 1,
                "delta": {"tool_calls": [{"index": 0, "id": "b", "function": {"name": "g", "arguments": "{}"}}]},
            }
        ]
    }

    answer = await ask(
        Reply.events(
            call(index=0, id="a", name="f", arguments="{"), other, call(index=0, arguments="}"), STOP, "[DONE]"
        )
    )

    assert made(answer) == [("f", {})]
