"""What the endpoints of MiniMax and GLM are asked (P84, P87, P88): the bodies as the server received them, from every engine."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tinyagent_actors import SpecError
from tinyagent_actors.messages import (
    AssistantMessage,
    Context,
    Message,
    Model,
    TextContent,
    ThinkingContent,
    ToolCall,
    ToolDefinition,
    ToolResultMessage,
    UserMessage,
)
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.providers._endpoint import find_key, resolve_endpoint
from tinyagent_actors.providers._minimax_request import LEAST_TEMPERATURE
from tinyagent_actors.testing import Reply, open_endpoint

LOOK = ToolDefinition("look", "Look.", {"type": "object", "properties": {}})
CALL = ToolCall("call_1", "look", {})
SEEN = ToolResultMessage("call_1", "look", "seen")
DETAILS = [{"type": "reasoning.text", "id": "r1", "format": "MiniMax-response-v1", "index": 0, "text": "hm"}]


async def sent(
    engine: str,
    model: Model,
    *messages: Message,
    tools: bool = False,
    system: str = "",
    path: str = "/v1",
    **options: Any,
) -> dict[str, Any]:
    """Ask, and give the body that the server received."""
    context = Context(system_prompt=system, messages=[UserMessage("hello"), *messages], tools=[LOOK] if tools else [])
    async with open_endpoint([Reply(text="hi")]) as endpoint:
        known = Model(model.id, model.provider, base_url=endpoint.url.removesuffix("/v1") + path, thinking_level=model.thinking_level)  # fmt: skip
        with trio.fail_after(30):
            async with open_stream(known, context, StreamOptions(engine=engine, **options)) as stream:  # type: ignore[arg-type]  # one of them
                assert (await stream.result()).text == "hi"
        (request,) = endpoint.requests
        assert request.path == f"{path}/chat/completions"
    body: dict[str, Any] = request.json
    return body


def said(provider: str, *content: Any, api: str = "") -> AssistantMessage:
    """Give an answer of that provider."""
    return AssistantMessage(content, provider=provider, api=api or f"{provider}-completions")


MINIMAX = Model("MiniMax-M2.5", "minimax")
GLM = Model("glm-4.7", "zai")


@pytest.mark.parametrize(
    ("given", "expected"), [(0, LEAST_TEMPERATURE), (0.0, LEAST_TEMPERATURE), (0.3, 0.3), (1, 1), (1.7, 1.0)]
)
async def test_temperatures_of_minimax(engine: str, given: float, expected: float) -> None:
    """P84: the range is (0, 1]; 0 is sent as the smallest number that is still one in single precision."""
    body = await sent(engine, MINIMAX, temperature=given)

    assert body["temperature"] == expected
    assert 0 < body["temperature"] <= 1


async def test_no_temperature(engine: str) -> None:
    """P84: none is sent where none is given."""
    assert "temperature" not in await sent(engine, MINIMAX)


@pytest.mark.parametrize(("given", "expected"), [(0, 0), (1.7, 1.0)])
async def test_temperatures_of_glm(engine: str, given: float, expected: float) -> None:
    """The range is 0 to 1."""
    assert (await sent(engine, GLM, temperature=given))["temperature"] == expected


async def test_a_request_to_minimax(engine: str) -> None:
    """One system message, first; `max_tokens`; thinking apart; usage asked for; no `strict`; no null anywhere."""
    history = [said("minimax", CALL), SEEN]

    body = await sent(engine, MINIMAX, *history, tools=True, system="Be brief.", max_tokens=99)

    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "tool"]
    assert (body["max_tokens"], body["reasoning_split"], body["stream_options"]) == (99, True, {"include_usage": True})
    assert body["messages"][2]["content"] == ""
    assert body["tools"] == [{"type": "function", "function": {"name": "look", "description": "Look.", "parameters": LOOK.parameters}}]  # fmt: skip
    assert "thinking" not in body


async def test_an_old_model_of_minimax_is_not_asked_to_split(engine: str) -> None:
    """Those that do not think know nothing of it."""
    assert "reasoning_split" not in await sent(engine, Model("MiniMax-Text-01", "minimax"))


@pytest.mark.parametrize(
    ("model", "level", "option", "thinking"),
    [
        ("MiniMax-M3", "off", None, None),
        ("MiniMax-M3", "off", "off", {"type": "disabled"}),
        ("MiniMax-M3", "high", "off", {"type": "disabled"}),
        ("MiniMax-M3", "low", None, {"type": "adaptive"}),
        ("MiniMax-M3", "off", "high", {"type": "adaptive"}),
        ("MiniMax-M2.7", "high", "off", None),
    ],
)
async def test_thinking_of_minimax(
    engine: str, model: str, level: Any, option: str | None, thinking: dict[str, str] | None
) -> None:
    """M3 thinks or not, without degrees, and is told if somebody said so; earlier ones are not told."""
    body = await sent(engine, Model(model, "minimax", thinking_level=level), thinking=option)

    assert body.get("thinking") == thinking


async def test_details_go_back_to_minimax(engine: str) -> None:
    """P83: the array as it was merged, beside the text, in every turn."""
    history = [
        said("minimax", ThinkingContent("hm", wire={"reasoning_details": DETAILS}), TextContent("Let me look."), CALL),
        SEEN,
        said("minimax", ThinkingContent("so", wire={"reasoning_details": DETAILS}), TextContent("Done.")),
        UserMessage("more"),
    ]

    messages = (await sent(engine, MINIMAX, *history))["messages"]

    first, last = (message for message in messages if message["role"] == "assistant")
    assert (first["content"], first["reasoning_details"]) == ("Let me look.", DETAILS)
    assert (last["content"], last["reasoning_details"]) == ("Done.", DETAILS)


async def test_thinking_in_tags_goes_back_in_tags(engine: str) -> None:
    """P50: what came in tags stands in the text again, to the letter and in its place."""
    answer = said(
        "minimax", ThinkingContent("\nhm\n"), TextContent("\n\nA"), ThinkingContent("so"), TextContent("B"), CALL
    )

    message = (await sent(engine, MINIMAX, answer, SEEN))["messages"][1]

    assert message["content"] == "<think>\nhm\n</think>\n\nA<think>so</think>B"
    assert "reasoning_details" not in message


@pytest.mark.parametrize("model", [MINIMAX, GLM])
async def test_thinking_goes_back_only_to_its_maker(engine: str, model: Model) -> None:
    """Another provider's thinking is not sent, in whatever form it came."""
    foreign = said("openrouter", ThinkingContent("secret", wire={"reasoning_details": DETAILS}), TextContent("A"), CALL, api="openai-completions")  # fmt: skip

    body = await sent(engine, model, foreign, SEEN)

    assert body["messages"][1].keys() == {"role", "content", "tool_calls"}
    assert body["messages"][1]["content"] == "A"


WITH_CALL = said("zai", ThinkingContent("\nhm "), ThinkingContent("and so"), TextContent("Looking."), CALL)
WITHOUT = said("zai", ThinkingContent("done thinking"), TextContent("Done."))


@pytest.mark.parametrize(
    ("path", "extra", "kept"),
    [
        ("/api/paas/v4", None, None),
        ("/api/coding/paas/v4", None, "done thinking"),
        ("/api/paas/v4", {"thinking": {"type": "enabled", "clear_thinking": False}}, "done thinking"),
        ("/api/coding/paas/v4", {"thinking": {"type": "enabled", "clear_thinking": True}}, None),
    ],
)
async def test_reasoning_goes_back_to_glm(
    engine: str, path: str, extra: dict[str, Any] | None, kept: str | None
) -> None:
    """P87: beside calls always, whole and unmodified; of other answers where earlier thinking is kept."""
    body = await sent(engine, GLM, WITH_CALL, SEEN, WITHOUT, UserMessage("more"), path=path, extra_body=extra)

    first, last = (message for message in body["messages"] if message["role"] == "assistant")
    assert (first["reasoning_content"], first["content"]) == ("\nhm and so", "Looking.")
    assert (last.get("reasoning_content"), last["content"]) == (kept, "Done.")
    assert body.get("thinking") == (extra or {}).get("thinking")


@pytest.mark.parametrize(
    ("model", "level", "path", "expected"),
    [
        ("glm-4.7", None, "/v1", {}),
        ("glm-4.7", "off", "/v1", {"thinking": {"type": "disabled"}}),
        ("glm-4.7", "high", "/v1", {"thinking": {"type": "enabled", "clear_thinking": True}}),
        ("glm-5", "low", "/api/coding/paas/v4", {"thinking": {"type": "enabled", "clear_thinking": False}}),
        ("glm-4.6", "low", "/v1", {"thinking": {"type": "enabled"}}),
        ("glm-4-32b-0414-128k", "high", "/v1", {}),
        ("glm-5.3", None, "/v1", {}),
        ("glm-5.3", "off", "/v1", {"thinking": {"type": "enabled", "clear_thinking": True}, "reasoning_effort": "low"}),
        ("GLM-5.3-flash", "minimal", "/v1", {"thinking": {"type": "enabled", "clear_thinking": True}, "reasoning_effort": "low"}),
        ("glm-5.3", "medium", "/v1", {"thinking": {"type": "enabled", "clear_thinking": True}, "reasoning_effort": "high"}),
        ("glm-5.3", "xhigh", "/v1", {"thinking": {"type": "enabled", "clear_thinking": True}, "reasoning_effort": "max"}),
    ],
)  # fmt: skip
async def test_thinking_of_glm(engine: str, model: str, level: str | None, path: str, expected: dict[str, Any]) -> None:
    """On or off, kept or cleared; GLM-5.3 by degrees and never off; nothing is said unasked, nor to those that do not think."""
    body = await sent(engine, Model(model, "zai"), path=path, thinking=level)

    assert {name: body[name] for name in ("thinking", "reasoning_effort") if name in body} == expected


async def test_a_request_to_glm(engine: str) -> None:
    """The content of answers is text, the limit is `max_tokens`, the first message is the system's."""
    body = await sent(engine, GLM, said("zai", CALL), SEEN, tools=True, system="Be brief.", max_tokens=99)

    assert (body["messages"][0], body["messages"][2]["content"]) == ({"role": "system", "content": "Be brief."}, "")
    assert body["max_tokens"] == 99


@pytest.mark.parametrize(
    ("model", "tools", "extra", "expected"),
    [
        ("glm-4.7", True, None, True),
        ("glm-4.6", True, None, True),
        ("glm-4.5", True, None, None),
        ("glm-4.7", False, None, None),
        ("glm-4.7", True, {"tool_stream": False}, False),
    ],
)
async def test_calls_are_streamed_where_they_can(
    engine: str, model: str, extra: dict[str, Any] | None, expected: object, *, tools: bool
) -> None:
    """P88: `tool_stream` is on with tools, since GLM-4.6, and can be switched off."""
    assert (await sent(engine, Model(model, "zai"), tools=tools, extra_body=extra)).get("tool_stream") is expected


@pytest.mark.parametrize("model", [MINIMAX, GLM, Model("any", "custom")])
async def test_members_of_the_providers_own(engine: str, model: Model) -> None:
    """`extra_body` goes out as it is and wins over what the options amount to."""
    body = await sent(engine, model, temperature=0.5, extra_body={"temperature": 0.7, "do_sample": False})

    assert (body["temperature"], body["do_sample"]) == (0.7, False)


@pytest.mark.parametrize(
    "extra", [{"model": "other"}, {"messages": []}, {"stream": False}, {1: 2}, [], {"x": object()}]
)
def test_what_extra_members_cannot_be(extra: Any) -> None:
    """They say how, not what; a wrong one is refused where it is written."""
    with pytest.raises(SpecError, match="extra_body"):
        StreamOptions(extra_body=extra)


@pytest.mark.parametrize(
    ("model", "api"),
    [
        (Model("M", "minimax"), "minimax-completions"),
        (Model("M", "minimax-cn"), "minimax-completions"),
        (Model("M", "zai"), "zai-completions"),
        (Model("M", "custom", "minimax"), "minimax-completions"),
        (Model("M", "custom", "zai"), "zai-completions"),
        (Model("M", "custom", "minimax-completions"), "minimax-completions"),
        (Model("M", "minimax", "openai"), "openai-completions"),
        (Model.parse("minimax:MiniMax-M3"), "minimax-completions"),
        (Model.parse("minimax-cn:MiniMax-M3"), "minimax-completions"),
        (Model.parse("zai:glm-5.3"), "zai-completions"),
    ],
)
def test_the_dialect_of_a_model(model: Model, api: str) -> None:
    """By the provider, by an alias, or as it is written."""
    assert model.api == api


URLS = [
    ("minimax", None, "https://api.minimax.io/v1/chat/completions"),
    ("minimax-cn", None, "https://api.minimaxi.com/v1/chat/completions"),
    ("minimax-cn", "https://api.minimax.chat/v1/chat/completions", "https://api.minimax.chat/v1/chat/completions"),
    ("minimax-cn", "https://api.minimaxi.com/v1/", "https://api.minimaxi.com/v1/chat/completions"),
    ("zai", None, "https://api.z.ai/api/paas/v4/chat/completions"),
    ("zai", "https://api.z.ai/api/coding/paas/v4", "https://api.z.ai/api/coding/paas/v4/chat/completions"),
    ("zai", "https://open.bigmodel.cn/api/paas/v4", "https://open.bigmodel.cn/api/paas/v4/chat/completions"),
]


@pytest.mark.parametrize(("provider", "base_url", "url"), URLS)
async def test_where_they_live(provider: str, base_url: str | None, url: str) -> None:
    """Global and China, pay per use and coding plan; the key of the environment goes as Bearer."""
    environ = {"MINIMAX_API_KEY": "k-minimax", "MINIMAX_CN_API_KEY": "k-minimax-cn", "ZAI_API_KEY": "k-zai"}
    model = Model("any", provider, base_url=base_url)

    key = await find_key(model, StreamOptions(), environ)
    endpoint = resolve_endpoint(model, StreamOptions(), key, environ)

    assert endpoint.url == url
    assert dict(endpoint.headers)["authorization"] == f"Bearer k-{provider}"
