"""Bodies for decoders: what endpoints send, what they should not send, and noise; each with where it is cut into reads."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from hypothesis import strategies as st

from tinyagent_actors.providers._items import Item

_WORDS = st.sampled_from(
    ["", "a", "hello ", "é", "😀", "\u2028", "\x85", "<think>", "</think>", "<thi", "nk>", "</", "\n", "\\", '"']
)
HALVES = st.sampled_from(["\ud83d", "\ude00", "\ud83d\ude00", "\ude00\ud83d", "a\ud83d"])
TEXTS = st.lists(st.one_of(_WORDS, HALVES), max_size=3).map("".join)
_NUMBERS = st.sampled_from(
    ["0", "-0", "0.0", "1", "7", "12.0", "1e3", "1.5", "-1", "9007199254740992", "9007199254740993", "1E+2"]
)
_BROKEN_NUMBERS = st.sampled_from(["NaN", "Infinity", "-Infinity", "1e999", "01", "1."])


class Raw:
    """JSON text that stands in a value as it is."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Raw({self.text!r})"


NUMBERS = _NUMBERS.map(Raw)
ODD: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), NUMBERS, TEXTS, st.just([]), st.just({}), st.just({"a": 1}), st.just([{"text": "x"}]),
    st.just([[], {}]), st.just(Raw('{"a":1,"b":{},"a":2}')),
)  # fmt: skip


def _in_order(names: list[str], number: int) -> list[str]:
    """Give the order of names that has this number, of all orders there are; 0 is the one in which they come."""
    left, ordered = list(names), []
    while left:
        number, at = divmod(number, len(left))
        ordered.append(left.pop(at))
    return ordered


def objects(
    always: dict[str, st.SearchStrategy[Any]], sometimes: dict[str, st.SearchStrategy[Any]] | None = None
) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with these members, and some of those, in any order.

    As `st.fixed_dictionaries`, but with two choices in the place of three for each member: bodies are made of so many
    objects that choosing their members would take most of the time of a test.
    """
    optional = sometimes or {}
    members = {**always, **optional}
    names, orders = list(members), math.factorial(len(members))

    @st.composite
    def an_object(draw: st.DrawFn) -> dict[str, Any]:
        left = draw(st.integers(0, len(optional))) if optional else 0
        value = {}
        for name in _in_order(names, draw(st.integers(0, orders - 1)) if orders > 1 else 0):
            if name in always or left > 0:
                left -= name not in always
                value[name] = draw(members[name])
        return value

    return an_object()


def maybe(members: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that have some of the members, sometimes with a value that does not belong there."""
    return objects({}, {name: st.one_of(value, value, ODD) for name, value in members.items()})


_PARTS = st.lists(
    maybe({"type": st.sampled_from(["text", "thinking"]), "text": TEXTS, "thinking": st.one_of(TEXTS, st.lists(maybe({"text": TEXTS}), max_size=2))}),
    max_size=3,
)  # fmt: skip
_DETAILS = st.lists(
    maybe({
        "type": st.sampled_from(["reasoning.text", "reasoning.summary", "reasoning.encrypted"]),
        "index": NUMBERS, "text": TEXTS, "summary": TEXTS, "signature": TEXTS, "data": TEXTS, "id": ODD,
    }),
    max_size=3,
)  # fmt: skip
_GROWING_DETAILS = st.lists(
    maybe({"text": st.sampled_from(["a", "ab", "abc", "abcab", "é", "éa"]), "index": st.integers(0, 1)}),
    min_size=1,
    max_size=2,
)
_IDS = st.one_of(st.sampled_from(["", "call_0", "call_1", "call_2"]), HALVES)
_ARGUMENTS = st.one_of(TEXTS, st.sampled_from(["{}", "{", "}", '{"a":', '"}"', '"}', "\\", '\\"', '{"a":{}}']))
_FUNCTIONS = maybe({"name": st.sampled_from(["look", "lo", "ok", ""]), "arguments": _ARGUMENTS})
_CALLS = st.lists(
    maybe({"id": _IDS, "index": NUMBERS, "type": st.just("function"), "function": _FUNCTIONS, "extra_content": ODD}),
    max_size=3,
)
_PLAIN_CALL = objects({
    "index": st.integers(0, 1),
    "function": objects({"arguments": _ARGUMENTS}),
})  # fmt: skip
_DELTAS = st.one_of(
    objects({"content": TEXTS}),
    objects({"reasoning_content": TEXTS}),
    objects({"reasoning_details": _GROWING_DETAILS}, sometimes={"content": TEXTS}),
    objects({"tool_calls": st.lists(_PLAIN_CALL, min_size=1, max_size=1)}),
    maybe({
        "role": st.just("assistant"), "content": st.one_of(TEXTS, _PARTS), "reasoning_content": TEXTS, "reasoning": TEXTS,
        "reasoning_text": TEXTS, "reasoning_details": _DETAILS, "refusal": TEXTS, "tool_calls": _CALLS,
        "function_call": _FUNCTIONS,
    }),
)  # fmt: skip
_COUNTERS = maybe({
    "prompt_tokens": NUMBERS, "completion_tokens": NUMBERS, "total_tokens": NUMBERS, "cost": NUMBERS, "cached_tokens": NUMBERS,
    "prompt_cache_hit_tokens": NUMBERS, "reasoning_tokens": NUMBERS, "cache_creation_input_tokens": NUMBERS,
    "prompt_tokens_details": maybe({"cached_tokens": NUMBERS, "cache_write_tokens": NUMBERS}),
    "completion_tokens_details": maybe({"reasoning_tokens": NUMBERS}),
})  # fmt: skip
_RARELY = {"error": st.sampled_from([None, {}, "", False]), "usage": _COUNTERS}
_CHOICES = st.one_of(
    objects({"index": st.just(0), "delta": _DELTAS}),
    maybe({
        "index": st.sampled_from([Raw("0"), Raw("0.0"), Raw("-0"), Raw("1"), None]), "delta": _DELTAS, "message": _DELTAS,
        "finish_reason": st.sampled_from(["stop", "tool_calls", "", None, "\ud83d"]), **_RARELY,
    }),
)  # fmt: skip
_GOOD_EVENTS = objects(
    {"choices": st.lists(_CHOICES, max_size=2)},
    sometimes={
        "id": TEXTS, "model": TEXTS, "object": st.just("chat.completion.chunk"), **_RARELY,
        "base_resp": st.sampled_from([None, {}, {"status_code": Raw("0")}, {"status_code": Raw("0.0")}, {"status_code": ""}]),
    },
)  # fmt: skip
_ERRORS = st.one_of(
    objects({"error": ODD}, sometimes={"choices": st.lists(_CHOICES, max_size=1)}),
    maybe({"object": st.just("error"), "type": st.just("error"), "message": TEXTS}),
    maybe({"base_resp": maybe({"status_code": NUMBERS, "status_msg": TEXTS}), "choices": st.none()}),
    maybe({"choices": st.lists(maybe({"error": ODD, "delta": _DELTAS}), max_size=2)}),
    ODD,
    _BROKEN_NUMBERS.map(Raw),
)


def dump(value: Any, *, indent: bool = False) -> str:
    """Give the JSON text of a value that may hold `Raw` ones and halves of characters, in ASCII."""
    raws: list[str] = []

    def keep(raw: Any) -> str:
        raws.append(raw.text)
        return f"\0{len(raws) - 1}\0"

    text = json.dumps(value, default=keep, indent=1 if indent else None)
    return re.sub(r'"\\u0000(\d+)\\u0000"', lambda match: raws[int(match[1])], text)


_ENDS = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n", b"\n: c\n\n"])
_PREFIXES = st.sampled_from(
    [b"data: ", b"data:", b"data:  ", b"event: message\ndata: ", b"id: 1\r\ndata: ", b": c\ndata: "]
)
_RARE_PREFIXES = st.sampled_from([b"", b"event: error\ndata: ", b"error: ", b"junk: "])


def _text(draw: st.DrawFn, value: Any) -> bytes:
    text = dump(value, indent=draw(st.integers(0, 9)) == 9)  # one in ten
    if draw(st.booleans()) and _is_plain(text):
        text = json.dumps(json.loads(text), ensure_ascii=False)
    return text.encode()


def _is_plain(text: str) -> bool:
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except ValueError:
        return False
    return "NaN" not in text and "Infinity" not in text


_NOISE = st.one_of(
    st.sampled_from([
        b": ping\n\n", b":\n", b"\n", b"\r\n", b"data\n\n", b"data:\n\n", b"data: [DONE]\n\n", b"data: [DONE]", b" data: x\n\n", b"\xef\xbb\xbf",
        b"event: error\n\n", b'error: {"code": 500}\n\n', b"error: broken\n\n", b"retry: 5\n\n", b"<html>", b"{", b"[", b"[]\n\n", b"data: {\n\n",
        b"data: " + b"[" * 130 + b"]" * 130 + b"\n\n", b"data: \xff\xc3\n\n", b'data: {"choices": [{"delta": {"content": "\xe2\x82\xff\xf0\x9f\x98"}}]}\n\n',
        b'{"error": {"code": 429}}\n\n', b'data: {"choices": [], "choices": [{"delta": {"content": "last wins"}}]}\n\n', b"\t ",
    ]),
    st.binary(max_size=6),
)  # fmt: skip
_STARTS = st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf", b" ", b"\n", b": start\n\n", b"\r"])
_LASTS = st.sampled_from([b"data: [DONE]\n\n", b"data: [DONE]", b""])


def bodies_of(
    events: st.SearchStrategy[Any], errors: st.SearchStrategy[Any], lasts: st.SearchStrategy[bytes]
) -> st.SearchStrategy[bytes]:
    """Bodies of such events: some good ones, perhaps odd ones among them, and an end or none."""

    @st.composite
    def good_event(draw: st.DrawFn) -> bytes:
        lines = _text(draw, draw(events)).split(b"\n")
        return draw(_PREFIXES) + b"\ndata: ".join(lines) + draw(_ENDS)

    @st.composite
    def bad_event(draw: st.DrawFn) -> bytes:
        end = draw(st.one_of(_ENDS, st.sampled_from([b"\n", b""])))
        return draw(st.one_of(_PREFIXES, _RARE_PREFIXES)) + _text(draw, draw(st.one_of(events, errors))) + end

    return st.builds(
        lambda start, before, odd, after, last: start + b"".join([*before, *odd, *after]) + last,
        _STARTS,
        st.lists(good_event(), min_size=1, max_size=6),
        st.one_of(st.just([]), st.lists(st.one_of(bad_event(), _NOISE), min_size=1, max_size=2)),
        st.lists(good_event(), max_size=3),
        st.one_of(_LASTS, lasts),
    )


BODIES = bodies_of(_GOOD_EVENTS, _ERRORS, st.just(b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'))


def cut_bodies(bodies: st.SearchStrategy[bytes] = BODIES) -> st.SearchStrategy[list[bytes]]:
    """Bodies in pieces: whole, byte by byte, or cut at random."""

    @st.composite
    def cut_body(draw: st.DrawFn) -> list[bytes]:
        body = draw(bodies)
        if draw(st.integers(0, 3)) == 0:
            return [body[at : at + 1] for at in range(len(body))]
        cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=4)))
        return [body[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]

    return cut_body()


def decode(decoder: Any, pieces: list[bytes], cut: str | None) -> list[Item]:
    """Give all items of a body."""
    items: list[Item] = []
    for piece in pieces:
        items += decoder.feed(piece)
    items += decoder.end(cut)
    assert decoder.done
    assert decoder.feed(b"data: late\n\n") == decoder.end(None) == []
    return items
