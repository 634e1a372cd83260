"""What providers of `openai-completions` are sent: the bodies that a real endpoint received."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from tests.providers.conftest import CONTEXT
from tinyagent_actors.messages import (
    AssistantMessage,
    Context,
    ImageContent,
    InvalidToolCall,
    Model,
    TextContent,
    ThinkingContent,
    ToolCall,
    ToolDefinition,
    ToolResultMessage,
    UserMessage,
)
from tinyagent_actors.providers import StreamOptions, open_stream
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._openai_request import build_request
from tinyagent_actors.testing import Reply, open_endpoint

TOOL = ToolDefinition("look", "Looks.", {"type": "object", "properties": {}})
WITH_TOOLS = Context(messages=[UserMessage("hello")], tools=[TOOL])
IMAGE = ImageContent(data="aGk=", mime_type="image/png")
LEVELS = ("minimal", "low", "medium", "high", "xhigh")


@attrs.frozen
class Sent:
    """Asks an endpoint and gives what it received: ``await sent("groq:m", context)``."""

    engine: str

    async def __call__(self, named: str, context: Context = CONTEXT, **options: Any) -> dict[str, Any]:
        level = options.pop("thinking_level", "off")
        parsed = Model.parse(named)
        async with open_endpoint([Reply(text="a")]) as endpoint:
            model = attrs.evolve(parsed, base_url=endpoint.url, thinking_level=level)
            with trio.fail_after(30):
                async with open_stream(model, context, StreamOptions(engine=self.engine, **options)) as stream:
                    assert (await stream.result()).error is None
            body: dict[str, Any] = endpoint.requests[0].json
            return body


@pytest.fixture
def sent(engine: str) -> Sent:
    """Send on the engine that the test runs on."""
    return Sent(engine)


def turn(named: str, *content: Any, **fields: Any) -> AssistantMessage:
    """Give an answer of that model."""
    model = Model.parse(named)
    return AssistantMessage(content, "tool_use", api=model.api, provider=model.provider, model=model.id, **fields)


def at_openai(model_id: str, context: Context = CONTEXT, **options: Any) -> dict[str, Any]:
    """Give the body that would go to OpenAI's own host."""
    import orjson

    endpoint = Endpoint("https://api.openai.com/v1/chat/completions", ())
    body: dict[str, Any] = orjson.loads(
        build_request(Model(model_id, "openai"), context, StreamOptions(**options), endpoint)
    )
    return body


# How much to think.

ASKED: dict[str, dict[str, Any]] = {
    "azure:o3": {"low": {"reasoning_effort": "low"}, "minimal": {"reasoning_effort": "low"}, "off": {}},
    "azure:gpt-5-mini": {"minimal": {"reasoning_effort": "minimal"}, "xhigh": {"reasoning_effort": "high"}, "off": {}},
    "azure:gpt-5-pro": {"low": {"reasoning_effort": "high"}},
    "azure:gpt-5.1": {"minimal": {"reasoning_effort": "low"}, "off": {"reasoning_effort": "none"}},
    "azure:gpt-5.4": {"xhigh": {"reasoning_effort": "xhigh"}, "off": {"reasoning_effort": "none"}},
    "azure:gpt-4.1": {"high": {}, "off": {}},
    "azure:gpt-5-chat-latest": {"high": {}},
    "openai:gpt-5.4": {"high": {}},
    "openrouter:openai/gpt-5.4": {"high": {"reasoning": {"effort": "high"}}, "off": {"reasoning": {"effort": "none"}}},
    "deepseek:deepseek-v4-pro": {
        "high": {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
        "off": {"thinking": {"type": "disabled"}},
    },
    "deepseek:deepseek-r1": {"high": {}},
    "mistral:mistral-medium-3-5": {"low": {"reasoning_effort": "high"}, "off": {"reasoning_effort": "none"}},
    "mistral:ministral-8b-2512": {"high": {}},
    "groq:openai/gpt-oss-120b": {"xhigh": {"reasoning_effort": "high"}, "off": {}},
    "groq:qwen/qwen3-32b": {"high": {"reasoning_effort": "default"}, "off": {"reasoning_effort": "none"}},
    "cerebras:gpt-oss-120b": {"minimal": {"reasoning_effort": "low"}},
    "xai:grok-4.5": {"medium": {"reasoning_effort": "medium"}, "off": {}},
    "xai:grok-4.3": {"off": {"reasoning_effort": "none"}},
    "xai:grok-4.20-reasoning": {"high": {}},
    "xai:grok-3-mini": {"medium": {"reasoning_effort": "low"}},
    "gemini:gemini-2.5-flash": {"off": {"reasoning_effort": "none"}},
    "gemini:gemini-2.5-pro": {"off": {}, "xhigh": {"reasoning_effort": "high"}},
    "ollama:qwen3:8b": {"high": {"reasoning_effort": "high"}, "off": {"reasoning_effort": "none"}},
    "vllm:Qwen/Qwen3-8B": {
        "low": {"chat_template_kwargs": {"enable_thinking": True}},
        "off": {"chat_template_kwargs": {"enable_thinking": False}},
    },
    "vllm:openai/gpt-oss-20b": {"xhigh": {"reasoning_effort": "high"}},
    "llama.cpp:qwen3": {
        "high": {"chat_template_kwargs": {"enable_thinking": True}},
        "off": {"chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "none"},
    },
    "litellm:claude": {"xhigh": {"reasoning_effort": "xhigh"}},
    "lmstudio:qwen3": {"high": {}},
    "chutes:any": {"high": {}},
    "featherless:any": {"high": {}},
}
MEMBERS = ("reasoning_effort", "reasoning", "thinking", "chat_template_kwargs")


@pytest.mark.parametrize("named", ASKED)
async def test_thinking_is_asked_for_as_each_provider_wants_it(sent: Sent, named: str) -> None:
    """M08: a level becomes the nearest word that the model takes; where nothing can be said or nothing is asked, nothing is."""
    said = {level: await sent(named, thinking=level) for level in ASKED[named]} | {None: await sent(named)}

    told = {level: {name: body[name] for name in MEMBERS if name in body} for level, body in said.items()}
    assert told == ASKED[named] | {None: {}}


async def test_the_option_wins_over_the_models_level(sent: Sent) -> None:
    """M08: `thinking` of the options goes before `thinking_level` of the model, also where it is off."""
    named = "ollama:qwen3:8b"

    assert (await sent(named, thinking_level="low"))["reasoning_effort"] == "low"
    assert (await sent(named, thinking_level="low", thinking="high"))["reasoning_effort"] == "high"
    assert (await sent(named, thinking_level="low", thinking="off"))["reasoning_effort"] == "none"


@pytest.mark.parametrize(
    ("named", "effort"), [("azure:gpt-5.4", "none"), ("azure:gpt-6.1-sol", "none"), ("azure:gpt-5.2", "high")]
)
async def test_tools_together_with_an_effort(sent: Sent, named: str, effort: str) -> None:
    """M08: from GPT-5.4 on a request with tools must say that it wants no reasoning, whatever was asked."""
    assert (await sent(named, WITH_TOOLS, thinking="high"))["reasoning_effort"] == effort
    if effort == "none":
        assert (await sent(named, WITH_TOOLS))["reasoning_effort"] == "none"


# Roles, limits, temperature.


@pytest.mark.parametrize(
    ("model_id", "role", "limit", "has_temperature"),
    [
        ("gpt-5.4", "developer", "max_completion_tokens", False),
        ("o4-mini", "developer", "max_completion_tokens", False),
        ("gpt-4.1", "system", "max_completion_tokens", True),
        ("gpt-5-chat-latest", "system", "max_completion_tokens", True),
    ],
)
async def test_openai_and_azure(sent: Sent, model_id: str, role: str, limit: str, has_temperature: bool) -> None:  # noqa: FBT001  # a column
    """M08: both know `max_completion_tokens`; their reasoning models take no temperature and call the system developer."""
    context = Context("Be brief.", [UserMessage("hello")])
    azure = await sent(f"azure:{model_id}", context, max_tokens=9, temperature=0.5)
    openai = at_openai(model_id, context, max_tokens=9, temperature=0.5)

    assert azure == openai
    assert azure["messages"][0] == {"role": role, "content": "Be brief."}
    assert azure[limit] == 9
    assert ("temperature" in azure) == has_temperature


@pytest.mark.parametrize(
    "named",
    [
        "openrouter:openai/gpt-5.4",
        "openai:gpt-5.4",
        "deepseek:deepseek-v4-pro",
        "mistral:mistral-large-4-0",
        "ollama:gpt-oss",
        "house:o3",
    ],
)
async def test_everybody_else(sent: Sent, named: str) -> None:
    """M08: `max_tokens`, `system`, and the temperature as it is; also a server that only calls itself openai."""
    body = await sent(named, Context("Be brief.", [UserMessage("hello")]), max_tokens=9, temperature=0.5)

    assert (body["max_tokens"], body["temperature"]) == (9, 0.5)
    assert body["messages"][0]["role"] == "system"
    assert "max_completion_tokens" not in body


async def test_a_limit_that_is_only_known_is_not_sent(sent: Sent) -> None:
    """What the file knows of a model is no wish of the caller."""
    assert {"max_tokens", "max_completion_tokens"}.isdisjoint(await sent("openrouter:openai/gpt-4.1"))


# Ids, names, order.


async def test_mistral_has_its_way(sent: Sent) -> None:
    """M09: ids of nine letters and digits, results with the tool's name, and no user directly after a result."""
    context = Context(
        messages=[
            UserMessage("look"),
            turn("openai:gpt-5.4", ToolCall("call_that_is_long", "look", {"x": 1}), ToolCall("abcdefghi", "look")),
            ToolResultMessage("call_that_is_long", "look", "seen"),
            ToolResultMessage("abcdefghi", "look", [TextContent("a picture"), IMAGE]),
            UserMessage("and now?"),
        ],
        tools=[TOOL],
    )

    messages = (await sent("mistral:mistral-large-2512", context))["messages"]

    assert [message["role"] for message in messages] == [
        "user", "assistant", "tool", "tool", "assistant", "user", "user",
    ]  # fmt: skip
    ids = [call["id"] for call in messages[1]["tool_calls"]]
    assert ids[1] == "abcdefghi"
    assert [len(made) for made in ids] == [9, 9]
    assert [(message["tool_call_id"], message["name"]) for message in messages[2:4]] == [(made, "look") for made in ids]
    assert messages[4]["content"]
    assert messages[5]["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")


async def test_models_of_mistral_elsewhere(sent: Sent) -> None:
    """M09: servers of its models check the order too."""
    context = Context(messages=[turn("vllm:m", ToolCall("c", "look")), UserMessage("and now?")])

    for named in (
        "vllm:mistralai/Devstral-Small-2",
        "openrouter:mistralai/ministral-8b-2512",
        "ollama:mistral-small3.2",
    ):
        messages = (await sent(named, context))["messages"]
        assert [message["role"] for message in messages] == ["assistant", "tool", "assistant", "user"]


async def test_ids_are_unique_over_the_conversation(sent: Sent) -> None:
    """M09: P59: a provider that counts from `call_0` in each turn gets its results back beside the right calls."""
    turns = [
        part
        for number in range(3)
        for part in (
            turn("openrouter:m", ToolCall("call_0", "look", {"turn": number}), ToolCall("call_0", "look")),
            ToolResultMessage("call_0", "look", f"first of {number}"),
            ToolResultMessage("call_0", "look", f"second of {number}"),
        )
    ]

    for named in ("openrouter:m", "mistral:m"):
        messages = (await sent(named, Context(messages=turns)))["messages"]
        calls = [call["id"] for message in messages for call in message.get("tool_calls", ())]
        results = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
        assert calls == results
        assert len(set(calls)) == 6


async def test_names_that_a_provider_would_refuse(sent: Sent) -> None:
    """M09: what a model made up as a name is made fit; the name of a tool that is there stays."""
    context = Context(
        messages=[
            turn(
                "gemini:g",
                ToolCall("a", "fs.read file"),
                InvalidToolCall("b", "x" * 80, "{", "cut"),
                ToolCall("c", "ns.tool"),
            )
        ],
        tools=[ToolDefinition("ns.tool", "", {"type": "object"})],
    )

    (message, *_) = (await sent("openrouter:m", context))["messages"]

    names = [call["function"]["name"] for call in message["tool_calls"]]
    assert names == ["fs_read_file", "x" * 64, "ns.tool"]
    assert message["tool_calls"][1]["function"]["arguments"] == "{}"


# What goes back to its maker.


async def test_gemini_gets_its_signatures_back_and_nobody_else(sent: Sent) -> None:
    """M10: whatever a call holds beside the known members is replayed to the same maker only."""
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    context = Context(messages=[turn("gemini:gemini-3.1-pro-preview", ToolCall("c", "look", {}, extra))])

    own = (await sent("gemini:gemini-3.8-flash", context))["messages"][0]["tool_calls"][0]
    other = (await sent("mistral:mistral-large-2512", context))["messages"][0]["tool_calls"][0]

    assert own["extra_content"] == extra["extra_content"]
    assert set(other) == {"id", "type", "function"}


async def test_reasoning_details_go_back_unchanged_to_the_models_of_their_maker(sent: Sent) -> None:
    """M10: through a router the maker is who stands before the slash."""
    details = [
        {"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0},
        {"type": "reasoning.encrypted", "data": "x"},
    ]
    thought = ThinkingContent("hm", wire={"reasoning_details": details})
    context = Context(
        messages=[turn("openrouter:anthropic/claude-opus-4.6", thought, TextContent("yes")), UserMessage("so?")]
    )

    same = (await sent("openrouter:anthropic/claude-sonnet-5", context))["messages"][0]
    unnamed = Context(messages=[attrs.evolve(context.messages[0], model="claude-opus-4.6"), UserMessage("so?")])
    assert (await sent("openrouter:anthropic/claude-sonnet-5", unnamed))["messages"][0] == same
    others = [
        (await sent(named, context))["messages"][0] for named in ("openrouter:openai/gpt-5.4", "deepseek:deepseek-r1")
    ]

    assert same["reasoning_details"] == details
    assert others == [{"role": "assistant", "content": "yes"}] * 2


async def test_deepseek_gets_reasoning_content_with_every_message(sent: Sent) -> None:
    """M10: its own thinking whole, "" for messages that have none of its; R1 never."""
    own = turn("deepseek:deepseek-v4-pro", ThinkingContent("let me "), ThinkingContent("see"), ToolCall("a", "look"))
    foreign = turn("openrouter:z-ai/glm-5", ThinkingContent("secret"), ToolCall("b", "look"))
    text = turn("deepseek:deepseek-v4-pro", TextContent("done"))
    context = Context(messages=[own, foreign, text, UserMessage("so?")])

    def told(body: dict[str, Any]) -> list[str | None]:
        return [message.get("reasoning_content") for message in body["messages"] if message["role"] == "assistant"]

    assert told(await sent("deepseek:deepseek-v4-flash", context)) == ["let me see", "", ""]
    assert told(await sent("deepseek:deepseek-r1", context)) == [None, None, None]
    assert told(await sent("openrouter:deepseek/deepseek-v4-pro-0813", context)) == [None, None, None]


# Images.


@pytest.mark.parametrize(
    "named", ["openrouter:openai/gpt-4.1", "gemini:gemini-2.5-pro", "ollama:llava", "azure:gpt-4o"]
)
async def test_images_of_tool_results_follow_as_a_message_of_the_user(sent: Sent, named: str) -> None:
    """M11: the result says that the image follows; images of several results come in one message, before the next one."""
    context = Context(
        messages=[
            UserMessage([TextContent("compare"), TextContent(""), ImageContent(url="https://a.example/x.png")]),
            turn(named, ToolCall("a", "look"), ToolCall("b", "look")),
            ToolResultMessage("a", "look", [IMAGE]),
            ToolResultMessage("b", "look", [TextContent("two"), IMAGE], is_error=True),
        ]
    )

    messages = (await sent(named, context))["messages"]

    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    assert messages[0]["content"] == [
        {"type": "text", "text": "compare"},
        {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}},
    ]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool", "user"]
    assert messages[2]["content"] == "(the image follows)"
    assert messages[3]["content"] == "Error: two\n(the image follows)"
    assert messages[4]["content"] == [image, image]


async def test_a_model_that_cannot_see_is_told_so(sent: Sent) -> None:
    """M11: an image in history does not make a request impossible; neither does one without data."""
    context = Context(
        messages=[
            UserMessage([TextContent("look: "), IMAGE]),
            turn("deepseek:m", ToolCall("a", "look")),
            ToolResultMessage("a", "look", [IMAGE]),
        ]
    )

    blind = (await sent("deepseek:deepseek-v4-pro", context))["messages"]
    seeing = (await sent("openrouter:m", Context(messages=[UserMessage([ImageContent()])])))["messages"]

    assert blind[0]["content"] == "look: (an image that this model cannot see)"
    assert [message["role"] for message in blind] == ["user", "assistant", "tool"]
    assert blind[2]["content"] == "(an image that this model cannot see)"
    assert seeing[0]["content"] == "(an image without data)"


# Thinking in the text.


@pytest.mark.parametrize(
    ("named", "is_taken_out"),
    [
        ("vllm:deepseek-ai/DeepSeek-R1", True),
        ("lmstudio:qwen3-8b", True),
        ("groq:qwen/qwen3-32b", True),
        ("vllm:llama", False),
        ("openrouter:m", False),
    ],
)
async def test_think_tags_are_on_by_provider_and_model(engine: str, named: str, is_taken_out: bool) -> None:  # noqa: FBT001  # a column
    """M08: where a server may leave thinking in the text, tags are thinking; an option says otherwise."""
    reply = Reply(text="<think>hm</think>yes")
    async with open_endpoint([reply, reply]) as endpoint:
        model = attrs.evolve(Model.parse(named), base_url=endpoint.url)
        for option, expected in ((None, is_taken_out), (not is_taken_out, not is_taken_out)):
            with trio.fail_after(30):
                async with open_stream(model, CONTEXT, StreamOptions(engine=engine, think_tags=option)) as stream:
                    message = await stream.result()
            assert (message.text == "yes") == expected
