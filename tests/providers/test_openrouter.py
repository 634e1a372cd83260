"""The stream function `stream_openrouter` and its model, as programs written for them use them."""

from __future__ import annotations

import gc

import pytest
import trio

from tests.providers.conftest import CONTEXT
from tinyagent_actors.messages import Model
from tinyagent_actors.providers import OpenRouterModel, SimpleStreamOptions, StreamOptions, stream_openrouter
from tinyagent_actors.testing import CallSpec, Delivery, Reply, Stall, open_endpoint

SLOW = Reply(text="word " * 200, chunk_size=5, delivery=Delivery(delay_between=0.02))


def test_the_model_is_a_model_of_openrouter() -> None:
    """Everything but the id has a default; a full URL is taken as it is."""
    model = OpenRouterModel(id="anthropic/claude-3.5-sonnet", base_url="https://api.openai.com/v1/chat/completions")

    assert isinstance(model, Model)
    assert (model.provider, model.api) == ("openrouter", "openai-completions")


async def test_events_have_the_shape_of_stream_functions() -> None:
    """start, blocks, done; deltas in `delta`, ends in `content` or `tool_call`, the message in `done`."""
    reply = Reply(thinking="hm", text="hello", tool_calls=[CallSpec("look", {"x": 1})])
    async with open_endpoint([reply]) as endpoint:
        response = await stream_openrouter(
            OpenRouterModel(id="m", base_url=f"{endpoint.url}/chat/completions"), CONTEXT
        )
        events = [event async for event in response]
        message = await response.result()

    blocks = ["thinking_start", "thinking_delta", "thinking_end", "text_start", "text_delta", "text_end"]
    calls = ["tool_call_start", "tool_call_delta", "tool_call_end"]
    assert [event.type for event in events] == ["start", *blocks, *calls, "done"]
    by_type = {event.type: event for event in events}
    assert (by_type["thinking_delta"].delta, by_type["thinking_end"].content) == ("hm", "hm")
    assert (by_type["text_delta"].delta, by_type["text_end"].content, by_type["text_end"].content_index) == (
        "hello",
        "hello",
        1,
    )
    assert by_type["tool_call_end"].tool_call is message.content[2]
    assert (by_type["done"].reason, by_type["done"].message) == ("tool_use", message)


async def test_events_can_be_read_as_mappings() -> None:
    """`event["delta"]`, and only the members that the type has."""
    async with open_endpoint([Reply(text="hello")]) as endpoint:
        response = await stream_openrouter(OpenRouterModel(id="m", base_url=endpoint.url), CONTEXT)
        events = [event async for event in response]

    delta = next(event for event in events if event["type"] == "text_delta")
    assert (delta["delta"], delta.get("content"), set(delta)) == (
        "hello",
        None,
        {"type", "content_index", "delta", "partial"},
    )


async def test_partial_is_the_message_so_far() -> None:
    """Each event knows the message as it stood after it, also when it is asked later."""
    async with open_endpoint([Reply(text="abcdef", chunk_size=2)]) as endpoint:
        response = await stream_openrouter(OpenRouterModel(id="m", base_url=endpoint.url), CONTEXT)
        events = [event async for event in response]

    deltas = [event for event in events if event.type == "text_delta"]
    texts = ["".join(event.delta for event in deltas[: count + 1]) for count in range(len(deltas))]
    assert [event.partial.text for event in deltas] == texts
    assert texts[-1] == "abcdef"


async def test_an_error_is_the_last_event() -> None:
    """What the provider did wrong is not raised; `error` holds the message."""
    async with open_endpoint([Reply(status=500)]) as endpoint:
        response = await stream_openrouter(OpenRouterModel(id="m", base_url=endpoint.url), CONTEXT)
        events = [event async for event in response]
        message = await response.result()

    assert [event.type for event in events] == ["error"]
    assert (events[0].reason, events[0].error) == ("error", message)
    assert message.error_message


async def test_result_alone() -> None:
    """Awaiting `result` reads the stream; options may be of either kind."""
    async with open_endpoint([Reply(text="a"), Reply(text="b"), Reply(text="c")]) as endpoint:
        model = OpenRouterModel(id="m", base_url=endpoint.url)
        for options, text in (
            (None, "a"),
            (SimpleStreamOptions(api_key="sk-1", temperature=0.1, max_tokens=9), "b"),
            (StreamOptions(max_tokens=7), "c"),
        ):
            response = await stream_openrouter(model, CONTEXT, options)
            assert (await response.result()).text == text

        assert [request.json.get("max_tokens") for request in endpoint.requests] == [None, 9, 7]
        assert endpoint.requests[1].header("authorization") == "Bearer sk-1"


async def test_the_signal_aborts() -> None:
    """Once it is set the stream ends as `aborted`, its socket closed, and what came is kept."""
    async with open_endpoint([SLOW]) as endpoint:
        signal = trio.Event()
        model = OpenRouterModel(id="m", base_url=endpoint.url)
        response = await stream_openrouter(model, CONTEXT, SimpleStreamOptions(signal=signal))
        events = []
        async for event in response:
            events.append(event)
            if event.type == "text_delta":
                signal.set()

        assert (events[-1].type, events[-1].reason) == ("error", "aborted")
        message = await response.result()
        assert message is events[-1].error
        assert (message.stop_reason, message.text[:5]) == ("aborted", "word ")
        with trio.fail_after(5):
            await endpoint.wait_for(lambda now: now.disconnects == 1)


async def test_the_signal_aborts_a_wait() -> None:
    """Also while nothing comes."""
    async with open_endpoint([Reply(text="late", fault=Stall())]) as endpoint, trio.open_nursery() as nursery:
        signal = trio.Event()
        model = OpenRouterModel(id="m", base_url=endpoint.url)
        response = await stream_openrouter(model, CONTEXT, SimpleStreamOptions(signal=signal))

        async def set_later() -> None:
            await endpoint.wait_for(lambda now: now.open_streams == 1)
            signal.set()

        nursery.start_soon(set_later)
        with trio.fail_after(5):
            assert (await response.result()).stop_reason == "aborted"


async def test_closing_and_leaving() -> None:
    """`aclose` and ``async with`` close the socket; nothing comes after."""
    async with open_endpoint([SLOW, SLOW]) as endpoint:
        model = OpenRouterModel(id="m", base_url=endpoint.url)
        response = await stream_openrouter(model, CONTEXT)
        await anext(response)
        await response.aclose()
        async with await stream_openrouter(model, CONTEXT) as other:
            await anext(other)

        assert [event async for event in response] == []
        assert (await response.result()).stop_reason == "aborted"
        with trio.fail_after(5):
            await endpoint.wait_for(lambda now: now.disconnects == 2)


@pytest.mark.filterwarnings("default::ResourceWarning")
async def test_a_stream_that_is_forgotten_is_closed() -> None:
    """Its socket does not stay open until the end of the program."""
    async with open_endpoint([SLOW]) as endpoint:
        response = await stream_openrouter(OpenRouterModel(id="m", base_url=endpoint.url), CONTEXT)
        await anext(response)
        del response
        gc.collect()

        with trio.fail_after(5):
            await endpoint.wait_for(lambda now: now.disconnects == 1)
