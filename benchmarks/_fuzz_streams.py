"""Bodies for the differential fuzz: whole events, odd events, and what mutation makes of both.

Two kinds of change, since each finds what the other cannot. *Odd events* are made before the run, by structure: in an event of
the corpus some value is replaced by one that does not belong there, so that the result is JSON and reaches the rules of the
dialect. *Mutations* are made for each body, by bytes: flips, cuts, copies, splices, numbers, characters, nesting, ends of
lines; they mostly test framing, JSON and how a stream ends. Everything follows from the seed and the number of the body.
"""

from __future__ import annotations

import json
import random
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs

from tinyagent_actors.providers._cassette_file import read_cassette

CORPUS: Final = Path(__file__).resolve().parent.parent / "tests" / "cassettes"
LARGEST_SEED: Final = 1500
"""Bytes of a body of the corpus that is used whole; small bodies are many bodies."""
LARGEST: Final = 4096
"""Bytes of a body after mutation."""
ODD_EVENTS: Final = 6000
"""How many odd events each dialect has."""

_ODD_VALUES: Final[list[str]] = [
    "null", "true", "false", "0", "-0", "0.0", "-0.0", "1", "2", "7", "12.0", "1e3", "1E+2", "1.5", "-1", "9007199254740992",
    "9007199254740993", "1e308", "1e309", "1e-400", "123456789012345678901234567890", "NaN", "Infinity", "01", '""', '" "', '"a"', '"7"',
    '"429"', '"stop"', '"length"', '"tool_use"', '"error"', '"text"', '"thinking"', '"call_0"', '"call_1"', '"<think>"', '"</think>"',
    '"<thi"', '"nk>"', '"\\ud83d"', '"\\ude00"', '"\\ud83d\\ude00"', '"\\u0000"', '"\u2028"', '"\U0001f600"', '"a\\nb"', '"\\/"', "[]", "{}", "[null]",
    "[{}]", '[{"type":"text","text":"x"}]', '{"a":1,"b":{},"a":2}', '{"text":"x"}', '{"message":"m","code":429}', '{"status_code":1002}',
    '{"status_code":0}', '{"input_tokens":3}', '{"prompt_tokens":3}', "[[[[[]]]]]", '"{\\"x\\":1}"',
]  # fmt: skip
_TOKENS: Final[list[bytes]] = [
    b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b":", b" ", b"\t", b"\0", b"data: ", b"data:", b"data: [DONE]\n\n", b"event: error\n", b"error: x\n\n", b"event: ping\n",
    b": c\n", b"\xef\xbb\xbf", b"\xc3", b"\xa9", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xe2\x80\xa8", b"\xff", b'"', b"\\", b"\\u", b"\\ud83d", b"\\ude00", b"{", b"}", b"[", b"]",
    b",", b"null", b"<", b"<think>", b"</think>", b'"index":1,', b'"error":{"code":503},', b'"id":"",', b'"id":"call_0",', b'"name":"f",', b'"text":"t",', b'"type":"error",',
    b'"finish_reason":"stop",', b'"usage":{"total_tokens":0},', b'"stop_reason":"end_turn",', b'"base_resp":{"status_code":0},', b"[" * 130, b'{"a":' * 126, b'{"a":' * 128, b"[DONE]",
]  # fmt: skip
_NUMBER: Final = re.compile(rb"-?\d+(?:\.\d+)?")
_NUMBERS: Final[list[bytes]] = [value.encode() for value in _ODD_VALUES[3:25]]
_ENDS: Final[list[bytes]] = [b"\r\n", b"\r", b"\n\n", b"\n\r", b" \n"]


_HEADED: Final = b"".join(
    b'data: {"id":"c%d","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{%b},"finish_reason":null}]}\n\n'
    % (number, said)
    for number, said in enumerate([
        b'"role":"assistant","content":"a"', b'"content":"b"', b'"content":" <think>c"', b'"reasoning_content":"d"', b'"reasoning":"e","content":"f"',
        b'"tool_calls":[{"index":0,"id":"call_0","type":"function","function":{"name":"f","arguments":"{"}}]',
        b'"tool_calls":[{"index":0,"function":{"arguments":"}"}}]', b'"tool_calls":[{"index":1,"id":"call_1","function":{"name":"g","arguments":"{}"}}]',
        b'"content":"\\ud83d"', b'"content":"\\ude00"', b'"refusal":"no"',
    ])
)  # fmt: skip
"""Chunks as most servers send them, with all that stands in them."""


@attrs.frozen
class Seeds:
    """What bodies of one dialect are made of."""

    bodies: list[bytes]
    events: list[bytes]
    """Events as they stand in the corpus, and odd ones."""


def read_seeds(api: str, seed: int) -> Seeds:
    """Give the seeds of a dialect: the bodies of its cassettes, their events, and odd events made of them."""
    bodies = [body for path in sorted(CORPUS.glob("*.jsonl")) for body in _bodies(path, api)]
    events = sorted({event for body in (*bodies, _HEADED) for event in _events(body)})
    chance = random.Random(f"{seed} {api}")  # noqa: S311  # no secret
    parsed = [value for event in events if (value := _parse(event)) is not None]
    odd = [_odd_event(chance, chance.choice(parsed)) for _ in range(ODD_EVENTS)]
    return Seeds([body for body in bodies if len(body) <= LARGEST_SEED], events * 2 + odd)


def _bodies(path: Path, api: str) -> list[bytes]:
    cassette = read_cassette(path)
    if cassette.about.get("api") != api:
        return []
    bodies = []
    for exchange in cassette.exchanges:
        is_packed = ("content-encoding", "gzip") in exchange.response.headers
        body = exchange.response.body
        bodies.append(zlib.decompress(body, wbits=31) if is_packed else body)
    return bodies


def _events(body: bytes) -> list[bytes]:
    return [event + b"\n\n" for event in body.split(b"\n\n") if event and len(event) <= LARGEST_SEED]


def _parse(event: bytes) -> tuple[bytes, Any] | None:
    """Give what stands before the JSON of an event, and its value."""
    before, mark, data = event.partition(b"data: ")
    try:
        value = json.loads(data)
    except ValueError:
        return None
    return (before + mark, value) if isinstance(value, dict) else None


class _Raw(str):
    """JSON text that stands in a value as it is."""

    __slots__ = ()


def _odd_event(chance: random.Random, parsed: tuple[bytes, Any]) -> bytes:
    """Give an event with one to three of its values replaced, removed or copied."""
    before, value = parsed
    value = json.loads(json.dumps(value))
    for _ in range(chance.randint(1, 3)):
        _change(chance, value)
    if chance.random() < 0.05:
        before = chance.choice([b"data:", b"event: error\ndata: ", b"event: message_stop\ndata: ", b"error: "])
    return before + _dump(value).encode("utf-8", "surrogatepass").replace(b"\xed", b"?") + b"\n\n"


def _change(chance: random.Random, value: Any) -> None:
    places: list[tuple[Any, Any]] = []
    _walk(value, places)
    holder, name = chance.choice(places)
    kind = chance.random()
    if kind < 0.7:
        holder[name] = _Raw(chance.choice(_ODD_VALUES))
    elif kind < 0.85:
        del holder[name]
    else:
        other, its = chance.choice(places)
        if its in other if isinstance(other, dict) else its < len(other):
            holder[name] = _Raw(_dump(other[its]))


def _walk(value: Any, places: list[tuple[Any, Any]]) -> None:
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for name, member in members:
        places.append((value, name))
        if isinstance(member, dict | list):
            _walk(member, places)
    if not places:
        value["x"] = None
        places.append((value, "x"))


def _dump(value: Any) -> str:
    if isinstance(value, _Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_dump(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_dump, value)) + "]"
    return json.dumps(value)


def make_body(chance: random.Random, seeds: Seeds) -> bytes:
    """Give a body."""
    chosen = chance.random()
    if chosen < 0.25 and seeds.bodies:
        body = chance.choice(seeds.bodies)
    else:
        body = b"".join(chance.choices(seeds.events, k=1 + int(chance.random() * 5)))
        if chosen < 0.6:
            body += b"data: [DONE]\n\n"
    if chance.random() < 0.6:
        for _ in range(1 + int(chance.random() ** 2 * 4)):
            body = chance.choice(_MUTATIONS)(chance, body, seeds)
    return body[:LARGEST]


def _place(chance: random.Random, body: bytes) -> int:
    return int(chance.random() * (len(body) + 1))


def _range(chance: random.Random, body: bytes) -> tuple[int, int]:
    begin = _place(chance, body)
    return begin, begin + int(chance.random() ** 3 * 60)


def _flip(chance: random.Random, body: bytes, _: Seeds) -> bytes:
    at = _place(chance, body)
    return body[:at] + bytes([int(chance.random() * 256)]) + body[at + 1 :]


def _insert(chance: random.Random, body: bytes, _: Seeds) -> bytes:
    at = _place(chance, body)
    return body[:at] + chance.choice(_TOKENS) + body[at:]


def _remove(chance: random.Random, body: bytes, _: Seeds) -> bytes:
    begin, end = _range(chance, body)
    return body[:begin] + body[end:]


def _copy(chance: random.Random, body: bytes, _: Seeds) -> bytes:
    begin, end = _range(chance, body)
    at = _place(chance, body)
    return body[:at] + body[begin:end] + body[at:]


def _cut(chance: random.Random, body: bytes, _: Seeds) -> bytes:
    return body[: _place(chance, body)]


def _splice(chance: random.Random, body: bytes, seeds: Seeds) -> bytes:
    other = chance.choice(seeds.events)
    return body[: _place(chance, body)] + other[_place(chance, other) :]


def _renumber(chance: random.Random, body: bytes, _: Seeds) -> bytes:
    found = _NUMBER.search(body, _place(chance, body))
    return body if found is None else body[: found.start()] + chance.choice(_NUMBERS) + body[found.end() :]


def _end_lines(chance: random.Random, body: bytes, _: Seeds) -> bytes:
    if chance.random() < 0.5:
        return body.replace(b"\n", chance.choice(_ENDS))
    at = body.find(b"\n", _place(chance, body))
    return body if at < 0 else body[:at] + chance.choice(_ENDS) + body[at + 1 :]


def _reorder(chance: random.Random, body: bytes, _: Seeds) -> bytes:
    events = body.split(b"\n\n")
    chance.shuffle(events)
    return b"\n\n".join(events)


_MUTATIONS: Final[list[Callable[[random.Random, bytes, Seeds], bytes]]] = [
    _flip, _insert, _insert, _insert, _remove, _copy, _cut, _splice, _renumber, _end_lines, _reorder,
]  # fmt: skip


def cut_body(chance: random.Random, body: bytes) -> list[bytes]:
    """Give a body in pieces: whole, in a few, or byte by byte."""
    chosen = chance.random()
    if chosen < 0.3:
        return [body]
    if chosen < 0.35 and len(body) < 400:
        return [body[at : at + 1] for at in range(len(body))]
    places = sorted(_place(chance, body) for _ in range(1 + int(chance.random() * 4)))
    return [body[begin:end] for begin, end in zip([0, *places], [*places, len(body)], strict=True)]
