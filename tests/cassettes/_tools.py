"""P51 to P69: tool calls."""

from __future__ import annotations

from tests.cassettes._case import CALLS, DONE, LENGTH, STOP, Case, answer, call, case, delta, finish, say, used

_ONE = [("f", {"x": 1})]
_TWO = [("f", {"x": 1}), ("g", {"y": 2})]
_ESCAPED = '{"x": "\\u00e9\\ud83d\\ude00"}'

CASES: list[Case] = [
    case("P51", "no-index", "No index: a new id opens a call; a piece without both belongs to the last.", "ollama#7881, openai-python#2806, vercel/ai#15879", answer(call('{"x":', id="a", name="f"), call("1}"), call('{"y":2}', id="b", name="g"), CALLS, DONE, calls=_TWO, stop="tool_use")),
    case("P52", "one-index", "Parallel calls that all say index 0.", "hermes-agent#62937, gcli2api#406, lmdeploy#3412", answer(call('{"x":1}', index=0, id="a", name="f"), call('{"y":', index=0, id="b", name="g"), call("2}", index=0), CALLS, DONE, calls=_TWO, stop="tool_use")),
    case("P53", "lost-head", "Arguments without a name never run.", "dyedd/lens#49", answer(call("{}", index=0), CALLS, DONE, invalid=[("", "{}")], stop="tool_use")),
    case("P54", "id-elsewhere", "An id that is known under another index: the id decides.", "agno#8880", answer(call('{"x":', index=0, id="a", name="f"), call("1}", index=1, id="a"), CALLS, DONE, calls=_ONE, stop="tool_use")),
    case("P55", "interleaved", "Interleaved, with gaps, out of order: in the order of first sight.", "gateways", answer(call('{"x"', index=5, id="a", name="f"), call('{"y"', index=2, id="b", name="g"), call(":1}", index=5), call(":2}", index=2), CALLS, DONE, calls=_TWO, stop="tool_use")),
    case("P56", "empty-id", "An empty id and name on what follows.", "gateways", answer(call('{"x":', index=0, id="a", name="f"), call("1}", index=0, id="", name=""), CALLS, DONE, calls=_ONE, stop="tool_use")),
    case(
        "P57", "repeated-name", "Id and name in every piece; a name in pieces; a name behind its arguments.", "hermes#12230, open-webui#22235, ai#5885",
        answer(call('{"x":', index=0, id="a", name="f"), call("1}", index=0, id="a", name="f"), CALLS, DONE, calls=_ONE, stop="tool_use"),
        answer(call("", index=0, id="a", name="look_"), call("{}", index=0, name="up"), CALLS, DONE, calls=[("look_up", {})], stop="tool_use"),
        answer(call('{"x":1}', index=0, id="a"), call("", index=0, name="f"), CALLS, DONE, calls=_ONE, stop="tool_use"),
    ),
    case("P58", "no-ids", "Ids are missing: they are made.", "continue#13235, langchain#40608", answer(call('{"x":1}', index=0, name="f"), call('{"y":2}', index=1, name="g"), CALLS, DONE, calls=_TWO, stop="tool_use")),
    case("P59", "same-ids", "One id for two calls at once is one call; in a second answer it is another.", "cline#9768, langchainjs#10170", answer(call('{"x":1}', index=0, id="call_0", name="f"), CALLS, DONE, calls=_ONE, stop="tool_use"), answer(call('{"y":2}', index=0, id="call_0", name="g"), CALLS, DONE, calls=[("g", {"y": 2})], stop="tool_use")),
    case("P60", "object", "Arguments as an object.", "llama.cpp#20198, litellm#24095", answer(call({"x": 1}, index=0, id="a", name="f"), CALLS, DONE, calls=_ONE, stop="tool_use")),
    case(
        "P61", "no-arguments", "Empty, blank, null or missing arguments are {}.", "openai-agents-js#664, omni#402",
        *[answer(call(arguments, index=0, id="a", name="f"), CALLS, DONE, calls=[("f", {})], stop="tool_use") for arguments in ("", "  ", None)],
        answer(delta({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}), CALLS, DONE, calls=[("f", {})], stop="tool_use"),
    ),
    case(
        "P62", "invalid", "What is no object, or not JSON, or two objects never runs.", "models",
        *[answer(call(arguments, index=0, id="a", name="f"), CALLS, DONE, invalid=[("f", arguments)], stop="tool_use") for arguments in ("{", "[1]", "3", '"{}"', '{"x": NaN}', "{}{}", '{"x": 1')],
    ),
    case("P63", "cut-escapes", "Pieces that end inside of an escape.", "gateways", answer(call("", index=0, id="a", name="f"), *[call(_ESCAPED[at : at + 3], index=0) for at in range(0, len(_ESCAPED), 3)], CALLS, DONE, calls=[("f", {"x": "é😀"})], stop="tool_use")),
    case("P64", "text-between", "Text between two pieces of a call.", "gateways", answer(call('{"x"', index=0, id="a", name="f"), say("well"), call(":1}", index=0), CALLS, DONE, calls=_ONE, text="well", stop="tool_use")),
    case("P65", "stop-with-calls", "The finish reason is stop, though there are calls.", "vercel/workflow#1387, harness-sdk#3206", answer(call('{"x":1}', index=0, id="a", name="f"), STOP, DONE, calls=_ONE)),
    case("P66", "no-calls", "tool_calls without any: nothing is made up.", "mastra#14187", answer(say("a"), CALLS, DONE, text="a", stop="tool_use")),
    case(
        "P67", "cut", "Under length no call runs, not even one that looks whole; under tool_calls one that is cut does not.", "vllm#9053, #46303, langchainjs#11471",
        answer(call("{}", index=0, id="a", name="f"), call('{"x', index=1, id="b", name="g"), LENGTH, DONE, invalid=[("f", "{}"), ("g", '{"x')], stop="length"),
        answer(call('{"x": "a', index=0, id="a", name="f"), CALLS, DONE, invalid=[("f", '{"x": "a')], stop="tool_use"),
    ),
    case("P68", "function-call", "The legacy function_call.", "OpenAI docs, before 2023-11", answer(delta({"function_call": {"name": "f", "arguments": '{"x":'}}), delta({"function_call": {"arguments": "1}"}}), finish("function_call"), DONE, calls=_ONE, stop="tool_use")),
    case(
        "P69", "all-at-once", "Everything in one chunk: thinking, then text, then calls.", "Ollama, gateways",
        answer(
            {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x":1}'}}], "content": "text", "reasoning": "hm"}, "finish_reason": "tool_calls"}], "usage": used(10, 5)["usage"]},
            DONE, text="text", thinking="hm", calls=_ONE, stop="tool_use", usage={"input": 10, "output": 5},
            content=[{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "text"}, {"type": "tool_call", "name": "f"}],
        ),
    ),
]  # fmt: skip
