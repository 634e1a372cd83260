"""P35 to P50: usage, choices, content and thinking."""

from __future__ import annotations

from typing import Any

from tests.cassettes._case import DONE, STOP, Case, answer, case, delta, finish, say, used

_USED: dict[str, Any] = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
_COUNTED = {"text": "a", "usage": {"input": 10, "output": 5}}


def _wrong(value: str) -> bytes:
    """Give a chunk whose completion counter is that JSON text."""
    return (
        b'data: {"choices":[{"index":0,"delta":{"content":"b"}}],"usage":{"prompt_tokens":11,"completion_tokens":%b}}\n\n'
        % value.encode()
    )


def _raw(text: str) -> bytes:
    """Give a chunk whose content is that JSON text."""
    return b'data: {"choices":[{"index":0,"delta":{"content":%b}}]}\n\n' % text.encode()


CASES: list[Case] = [
    case("P35", "usage-last", "Usage comes behind the finish reason, with empty choices.", "OpenAI docs; haystack#8507", answer(say("a", usage=None), STOP, used(10, 5, total_tokens=15), DONE, **_COUNTED)),
    case("P36", "usage-in-choice", "Usage inside of a choice.", "pi-mono#2017 (Moonshot)", answer(say("a"), {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": _USED}]}, DONE, **_COUNTED)),
    case("P37", "usage-cumulative", "Counters in each chunk; the last count.", "vLLM continuous_usage_stats", answer(*[say(text, usage={**_USED, "completion_tokens": count}) for text, count in (("a", 1), ("b", 2), ("c", 3))], STOP, DONE, text="abc", usage={"input": 10, "output": 3})),
    case(
        "P38", "odd-counters", "Null, negative, fractional, huge or no number: not sent; the text beside it stays.", "gateways",
        *[answer(say("a", usage=_USED), _wrong(value), STOP, DONE, text="ab", usage={"input": 11, "output": 5}) for value in ("null", "-1", "1.5", '"7"', "true", "1e300", "9007199254740993")],
        answer(say("a", usage=_USED), _wrong("7.0"), STOP, DONE, text="ab", usage={"input": 11, "output": 7}),
    ),
    case("P39", "no-usage", "Nothing told, or only zeros as a placeholder: unknown.", "gateways", answer(say("a"), STOP, DONE, text="a"), answer(say("a", usage=None), STOP, used(0, 0, total_tokens=0), DONE, text="a")),
    case(
        "P40", "cached", "Cached and written tokens are part of the prompt; input is neither.", "OpenAI prompt caching guide; DeepSeek, Moonshot docs; huggingface/tau#617",
        answer(say("a"), STOP, used(2600, 10, prompt_tokens_details={"cached_tokens": 2000, "cache_write_tokens": 400}, completion_tokens_details={"reasoning_tokens": 4}), DONE, text="a", usage={"input": 200, "output": 10, "cache_read": 2000, "cache_write": 400, "reasoning": 4}),
        answer(say("a"), STOP, used(100, 5, prompt_cache_hit_tokens=64, prompt_cache_miss_tokens=36), DONE, text="a", usage={"input": 36, "output": 5, "cache_read": 64}),
        answer(say("a"), STOP, used(100, 5, cached_tokens=64), DONE, text="a", usage={"input": 36, "output": 5, "cache_read": 64}),
        answer(say("a"), STOP, used(10, 5, prompt_tokens_details={"cached_tokens": 64}), DONE, text="a", usage={"input": 0, "output": 5, "cache_read": 64}),
        answer(say("a"), STOP, used(20, 7, total_tokens=57, completion_tokens_details={"reasoning_tokens": 30}), DONE, text="a", usage={"input": 20, "output": 37, "reasoning": 30}),
    ),
    case(
        "P41", "azure", "Filter results, a choice without a delta, a delta that is null.", "openai-python#1677, autogen#6465, pydantic-ai#797",
        answer({"choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}, {"choices": [{"index": 0, "content_filter_results": {}, "content_filter_offsets": {}}]}, say("a"), delta(None), STOP, DONE, text="a"),
    ),
    case("P42", "no-choices", "Choices null, missing, or no objects.", "pi-mono#1671, ROCm/ATOM#1711", answer({"choices": None}, {"object": "chat.completion.chunk"}, say("a"), {"choices": [None, 3, "x"]}, STOP, DONE, text="a")),
    case("P43", "roles", "A role in every delta, content null.", "gateways", answer(delta({"role": "assistant", "content": None}), delta({"role": "assistant", "content": "a"}), delta({"role": "assistant", "content": ""}), STOP, DONE, text="a")),
    case("P44", "other-choices", "Of several choices only that with index 0 counts.", "OpenAI docs, n > 1", answer(say("a"), {"choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": "length"}]}, say("b"), {"choices": [{"index": 1, "delta": {"content": "no"}}, {"index": 0, "delta": {"content": "c"}, "finish_reason": "stop"}]}, DONE, text="abc")),
    case("P45", "parts", "Content as a list of parts.", "Mistral docs; litellm#16272, symfony/ai#2422", answer(say([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]), say([{"type": "text", "text": "hel"}, {"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "lo"}]), STOP, DONE, text="hello", thinking="hm")),
    case("P46", "refusal", "The words of a refusal are text, and it is the stop reason.", "OpenAI docs", answer(delta({"refusal": "I can"}), delta({"refusal": "not."}), STOP, DONE, text="I cannot.", stop="refusal")),
    case(
        "P47", "surrogates", "Halves of a character in two events; halves alone.", "eliza#30904, rakazo#416",
        answer(_raw('"a\\ud83d"'), _raw('"\\ude00b"'), STOP, DONE, text="a😀b"),
        answer(_raw('"a\\ud83d"'), _raw('"b"'), STOP, DONE, text="a\ufffdb"),
        answer(_raw('"\\ude00b"'), _raw('"\\ud83d"'), STOP, DONE, text="\ufffdb\ufffd"),
        answer(_raw('"\\ud83d\\ude00"'), STOP, DONE, text="😀"),
    ),
    case(
        "P48", "thinking-names", "Thinking under each of its names; twice in one delta; an empty one does not hide another.", "DeepSeek, OpenRouter, vLLM docs; pi-mono (chutes)",
        *[answer(delta({name: "hm"}), say("a"), STOP, DONE, text="a", thinking="hm") for name in ("reasoning_content", "reasoning", "reasoning_text")],
        answer(delta({"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm", "index": 0}]}), say("a"), STOP, DONE, text="a", thinking="hm"),
        answer(delta({"reasoning": "hm", "reasoning_content": "hm"}), say("a"), STOP, DONE, text="a", thinking="hm"),
        answer(delta({"reasoning_content": "", "reasoning": "hm", "content": ""}), say("a"), STOP, DONE, text="a", thinking="hm"),
    ),
    case(
        "P49", "reasoning-details", "Details are merged by index, with the signature of the last piece.", "OpenRouter docs; agno#5802, req_llm#300",
        answer(
            delta({"reasoning_details": [{"type": "reasoning.text", "text": "one ", "index": 0, "format": "anthropic-claude-v1", "signature": None}]}),
            delta({"reasoning_details": [{"type": "reasoning.text", "text": "two", "index": 0}]}),
            delta({"reasoning_details": [{"type": "reasoning.text", "signature": "sig", "index": 0}]}),
            delta({"reasoning_details": [{"type": "reasoning.encrypted", "data": "xyz", "index": 1}]}),
            say("a"), STOP, DONE,
            text="a", thinking="one two",
            content=[
                {"type": "thinking", "thinking": "one two", "wire": {"reasoning_details": [{"type": "reasoning.text", "text": "one two", "index": 0, "format": "anthropic-claude-v1", "signature": "sig"}, {"type": "reasoning.encrypted", "data": "xyz", "index": 1}]}},
                {"type": "text", "text": "a"},
            ],
        ),
    ),
    case(
        "P50", "think-tags", "Tags split, unclosed, without a beginning, and half a tag at the end.", "any-llm#1242, lmdeploy#4754, koma#63",
        answer(say("<thi"), say("nk>hm</th"), say("ink>a"), STOP, DONE, text="a", thinking="hm"),
        answer(say("<think>hm"), STOP, DONE, thinking="hm"),
        answer(say("a</think>b"), STOP, DONE, text="ab"),
        answer(say("<think>a<think>b</think>c"), STOP, DONE, text="c", thinking="a<think>b"),
        answer(say("a <thi"), STOP, DONE, text="a <thi"),
        answer(say("<think>a</thi"), STOP, DONE, thinking="a</thi"),
        answer(say("a < b, </ and <th ink>"), finish("stop"), DONE, text="a < b, </ and <th ink>"),
        think_tags=True,
    ),
]  # fmt: skip
