"""Chains of models: who is asked in whose place, after what, and how it is told, on every engine."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from tests._kernel import told
from tests.providers.conftest import CONTEXT
from tinyagent_actors import (
    Agent,
    AgentOptions,
    AgentSpec,
    ModelCallFellBackEvent,
    ModelCallRetriedEvent,
    SpecError,
    open_system,
    tool,
)
from tinyagent_actors._errors import ValueShapeError
from tinyagent_actors.actors import current_runtime
from tinyagent_actors.events import structure, unstructure
from tinyagent_actors.messages import AssistantMessage, Model, to_model
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.testing import CallSpec, Cut, Delivery, Endpoint, Reply, Stall, open_endpoint
from tinyagent_actors.testing._wire import OpenAIChat
from tinyagent_actors.testing._wire_anthropic import AnthropicMessages

SOON = {"retry-after-ms": "20"}


def chain(*endpoints: Endpoint) -> tuple[Model, ...]:
    """Name a model at each endpoint: ``m0``, ``m1`` ..."""
    return tuple(
        Model(f"m{number}", provider="custom", base_url=endpoint.url) for number, endpoint in enumerate(endpoints)
    )


async def ask(models: Any, engine: str, **options: Any) -> AssistantMessage:
    """Ask, and give the message."""
    with trio.fail_after(30):
        async with open_stream(models, CONTEXT, StreamOptions(engine=engine, **options)) as stream:
            events = [event async for event in stream]
            message = await stream.result()
            assert stream.model.id == message.model
    assert [event.type for event in events].count("stream_start") == (message.error is None or bool(message.content))
    return message


@pytest.mark.parametrize(
    "failure",
    [
        Reply.rate_limited(3600),
        Reply(status=429, body=b'{"error": {"code": "insufficient_quota", "message": "quota"}}'),
        Reply(status=529, body=b"{}"),
        Reply(status=500, body=b"{}"),
        Reply(body=b"<html>login</html>"),
        Reply(body=b""),
        Reply(text="", fault=Cut(after_chunks=0)),
        Reply.events("not json"),
    ],
    ids=["busy", "quota", "overloaded", "broken", "page", "empty", "cut", "malformed"],
)
async def test_the_next_model_is_asked(engine: str, failure: Reply) -> None:
    """A provider in trouble: the next one answers, the message says who did, and it is told as an event."""
    async with open_endpoint([failure]) as first, open_endpoint([Reply(text="ok")]) as second:
        async with current_runtime().bus.subscribe() as events:
            message = await ask(chain(first, second), engine)
            (event,) = told(events, ModelCallFellBackEvent)

        assert (message.text, message.model, message.error) == ("ok", "m1", None)
        assert (event.failed, event.model) == ("custom:m0", "custom:m1")
        assert event.error.kind
        assert json.loads(second.requests[0].body)["model"] == "m1"


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Reply(status=401, body=b"{}"), "auth"),
        (Reply(status=400, body=b'{"error": {"message": "no such parameter"}}'), "provider_error"),
        (Reply(status=400, body=b'{"error": {"message": "prompt is too long"}}'), "context_overflow"),
        (Reply(status=400, body=b'{"error": {"code": "content_filter", "message": "no"}}'), "content_filter"),
        (Reply(status=302, body=b"", headers={"location": "http://127.0.0.1:1/"}), "redirect"),
    ],
)
async def test_what_is_the_fault_of_the_request_or_its_sender_is_the_answer(
    engine: str, failure: Reply, kind: str
) -> None:
    """P71: a wrong key, a bad request, a context too long, a filter: no other model is asked."""
    async with open_endpoint([failure]) as first, open_endpoint([Reply(text="never")]) as second:
        message = await ask(chain(first, second), engine)

        assert message.error is not None
        assert (message.error.kind, message.model) == (kind, "m0")
        assert second.statistics().requests == 0


async def test_no_other_model_is_asked_after_the_first_content(engine: str) -> None:
    """What was begun by one is not ended by another."""
    cut = Reply(text="it breaks off here", fault=Cut(after_chunks=2), delivery=Delivery(coalesce=False))
    async with open_endpoint([cut]) as first, open_endpoint([Reply(text="never")]) as second:
        message = await ask(chain(first, second), engine)

        assert message.error is not None
        assert message.error.kind == "truncated"
        assert second.statistics().requests == 0


async def test_each_model_has_its_retries(engine: str) -> None:
    """P73: the first is asked as often as the options say, then the next one as often; the last error is the answer."""
    broken = Reply(status=500, body=b"{}", headers=SOON)
    async with open_endpoint(lambda _: broken) as first, open_endpoint(lambda _: broken) as second:
        async with current_runtime().bus.subscribe() as events:
            message = await ask(chain(first, second), engine, retries=1)
            kinds = [type(event) for event in told(events, ModelCallRetriedEvent, ModelCallFellBackEvent)]

        assert message.error is not None
        assert message.model == "m1"
        assert (first.statistics().requests, second.statistics().requests) == (2, 2)
        assert kinds == [ModelCallRetriedEvent, ModelCallFellBackEvent, ModelCallRetriedEvent]


async def test_a_server_that_does_not_answer_or_is_not_there(engine: str) -> None:
    """A refused connection and a silence fall back as well."""
    from tinyagent_actors.providers import Timeouts

    async with open_endpoint([Reply(text="never", fault=Stall(after_chunks=0))]) as silent:
        async with open_endpoint([Reply(text="ok")]) as last:
            gone = Model("gone", provider="custom", base_url="http://127.0.0.1:1/v1")
            message = await ask((gone, *chain(silent, last)), engine, timeouts=Timeouts(first_byte=0.3))

            assert message.text == "ok"
            assert silent.statistics().requests == last.statistics().requests == 1


async def test_a_pause_that_is_too_long_is_a_reason_too(engine: str) -> None:
    """P71: while the first provider wants to be left alone, its requests go to the second without asking it again."""
    async with open_endpoint([Reply.rate_limited(3600)]) as first:
        async with open_endpoint(lambda _: Reply(text="ok")) as second:
            models = chain(first, second)
            texts = [(await ask(models, engine)).text for _ in range(3)]

            assert texts == ["ok"] * 3
            assert (first.statistics().requests, second.statistics().requests) == (1, 3)


async def test_an_agent_with_a_chain(engine: str) -> None:
    """A list stands where a model does; the events of the run tell of it, in a system and in a script."""
    async with open_endpoint(lambda _: Reply(status=529, body=b"{}", headers={"x-should-retry": "false"})) as first:
        async with open_endpoint(lambda _: Reply(text="ok")) as second:
            models, options = chain(first, second), StreamOptions(engine=engine)
            async with open_system() as system, system.subscribe("agent") as events:
                agent = await system.start_child(AgentSpec("agent", model=models, options=options))
                answer = await agent.ask("Go.")
                (event,) = told(events, ModelCallFellBackEvent)
                assert (answer.text, event.path, event.run, event.turn) == ("ok", "/agent", 1, 1)

            heard: list[Any] = []
            script = Agent(AgentOptions(stream_options=options))
            script.set_model(models)
            script.subscribe(heard.append)
            assert await script.prompt_text("Go.") == "ok"
            (event,) = [event for event in heard if isinstance(event, ModelCallFellBackEvent)]
            assert (event.run, event.turn) == (1, 1)


@pytest.mark.parametrize(
    "dialects", [("openai-completions", "anthropic-messages"), ("anthropic-messages", "openai-completions")]
)
async def test_the_next_model_may_speak_another_dialect(engine: str, dialects: tuple[str, str]) -> None:
    """A provider fails in the middle of a run: the other one is asked in its own words, with the call and its result."""

    @tool
    async def look(place: str) -> str:
        """Look.

        Args:
            place: Where.
        """
        return f"nothing in {place}"

    call = Reply(tool_calls=[CallSpec("look", {"place": "the attic"})])
    async with (
        open_endpoint([call, Reply(status=529, body=b"{}")]) as first,
        open_endpoint([Reply(text="ok")]) as second,
    ):
        models = [
            Model(f"m{number}", provider="custom", base_url=url, api=api)
            for number, (url, api) in enumerate(zip((first.url, second.url), dialects, strict=True))
        ]
        options = StreamOptions(engine=engine)
        async with open_system() as system:
            agent = await system.start_child(AgentSpec("agent", model=models, tools=[look], options=options, retries=0))
            answer = await agent.ask("Go.")
        (asked,) = second.requests

    wire = AnthropicMessages() if dialects[1] == "anthropic-messages" else OpenAIChat()
    messages = wire.parse(asked).messages
    assert (answer.text, answer.error) == ("ok", None)
    assert wire.owns(asked.target)
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"]
    assert "the attic" in str(messages[2]["content"])


async def test_a_partial_answer_says_who_gave_it(engine: str) -> None:
    """Cancelled while the second model speaks: the message that is kept names that one."""
    slow = Reply(text="word " * 500, chunk_size=5, delivery=Delivery(delay_between=0.05, coalesce=False))
    async with open_endpoint([Reply(body=b"")]) as first, open_endpoint([slow]) as second:
        async with open_system() as system, system.subscribe("agent") as events:
            options = StreamOptions(engine=engine)
            spec = AgentSpec("agent", model=chain(first, second), options=options, retries=0)
            agent = await system.start_child(spec)
            await agent.tell("Go.")
            with trio.fail_after(20):
                async for event in events:
                    if event.type == "message_update" and event.assistant_message_event.type == "text_delta":
                        break
                await agent.interrupt("enough")
                async for event in events:
                    if event.type == "agent_end":
                        break

    assert event.messages[-1].stop_reason == "aborted"
    assert event.messages[-1].model == "m1"


async def test_what_is_wrong_with_a_fallback_is_said_at_once(engine: str) -> None:
    """Not when it is needed."""
    wrong = Model("b", base_url="no url")
    with pytest.raises(SpecError) as caught:
        async with open_stream([Model("a", base_url="http://127.0.0.1:1/v1"), wrong], CONTEXT):
            pass
    assert caught.value.field == "Model.base_url"


# Syntax.


def test_a_chain_is_parsed() -> None:
    """`|` splits first, then each part is a model of its own."""
    model = Model.parse("anthropic:claude-sonnet-4.6 | ollama:qwen3:8b|http://127.0.0.1:8080/v1#local")

    assert (model.provider, model.id) == ("anthropic", "claude-sonnet-4.6")
    assert [(fallback.provider, fallback.id) for fallback in model.fallbacks] == [
        ("ollama", "qwen3:8b"),
        ("custom", "local"),
    ]
    assert Model.parse("openai:gpt-5.4").fallbacks == ()


@pytest.mark.parametrize("text", ["openai:a|", "|openai:a", "openai:a||openai:b", "openai:a|b", "|"])
def test_a_broken_chain_is_refused(text: str) -> None:
    """Every part must be a model."""
    with pytest.raises(ValueShapeError):
        Model.parse(text)


def test_a_list_of_models_is_a_chain_and_chains_are_flat() -> None:
    """In the order in which they are asked."""
    a, b, c, d = (Model(name) for name in "abcd")
    chained = to_model([to_model([a, b]), to_model((c, d))])

    assert chained.id == "a"
    assert [model.id for model in chained.fallbacks] == ["b", "c", "d"]
    assert all(model.fallbacks == () for model in chained.fallbacks)
    assert to_model(chained) is chained
    assert to_model([a]) == a


@pytest.mark.parametrize("wrong", [None, "openai:gpt", [], [Model("a"), "b"]])
def test_what_is_no_model_is_refused(wrong: Any) -> None:
    """With the name of the field; a text must be parsed."""
    with pytest.raises(SpecError) as caught:
        AgentSpec("agent", model=wrong)
    assert caught.value.field == "model"


def test_a_chain_has_a_dict_shape() -> None:
    """It goes into a record and comes back; a model without fallbacks has no such member."""
    model = Model.parse("openai:a|anthropic:b")

    assert structure(unstructure(model), Model) == model
    assert "fallbacks" not in unstructure(Model("a"))


def test_how_much_it_thinks_is_set_for_all() -> None:
    """`set_thinking_level` means the model, whoever stands in for it."""
    agent = Agent()
    agent.set_model([Model("a"), Model("b")])
    agent.set_thinking_level("high")

    model = agent.state.model
    assert model is not None
    assert [model.thinking_level, *(fallback.thinking_level for fallback in model.fallbacks)] == ["high", "high"]
