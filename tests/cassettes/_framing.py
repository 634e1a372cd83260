"""P01 to P21: how events are framed."""

from __future__ import annotations

from tests.cassettes._case import DONE, STOP, Case, answer, case, joined, say, split, used

_WHATWG = "WHATWG HTML standard, server-sent events"
_JAPANESE = joined(say("日本語 é😀"), STOP, DONE)
_LINES = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
_MORE = b'data: {"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}\n\n'
_BODY = _LINES + _MORE + b"data: [DONE]\n\n"

CASES: list[Case] = [
    case(
        "P01", "split-characters", "Characters cut in two and in four by the network.", "librefang#3448, nuphus#41, liter-llm#152",
        answer(*split(_JAPANESE, *range(_JAPANESE.index("日".encode()) + 1, _JAPANESE.index("😀".encode()) + 4)), text="日本語 é😀"),
    ),
    case(
        "P02", "invalid-bytes", "Each maximal part of a character that is none is one U+FFFD.", "WHATWG Encoding standard; liter-llm#152",
        answer(b'data: {"choices":[{"delta":{"content":"a\xffb\xe2\x82c\xf0\x9f\x98"}}]}\n\n', STOP, DONE, text="a\ufffdb\ufffdc\ufffd"),
        answer(b'data: {"choices":[{"delta":{"content":"\xc0\xaf\xed\xa0\x80"}}]}\n\n', STOP, DONE, text="\ufffd" * 5),
    ),
    case("P03", "crlf", "Lines end in CR LF.", "xuan#194", answer(_BODY.replace(b"\n", b"\r\n"), text="ab")),
    case("P04", "cr", "Lines end in CR.", _WHATWG, answer(_BODY.replace(b"\n", b"\r"), text="ab")),
    case(
        "P05", "cr-then-lf", "A CR and its LF come in two writes; it is one end of a line.", "httpx-sse",
        answer(*[piece for line in _BODY.split(b"\n")[:-1] for piece in (line + b"\r", b"\n")], text="ab"),
    ),
    case(
        "P06", "mixed-line-ends", "All three in one body.", _WHATWG,
        answer(_LINES.replace(b"\n", b"\r"), _LINES.replace(b"\n", b"\r\n"), b"\n\r", _MORE, b"data: [DONE]\r\n\n", text="aab"),
    ),
    case(
        "P07", "data-in-lines", "Pretty-printed JSON, one `data:` a line.", "term-llm#456",
        answer(b'data: {\ndata:   "choices": [\ndata:     {"index": 0, "delta": {"content": "a"}}\ndata:   ]\ndata: }\n\n', _MORE, DONE, text="ab"),
    ),
    case("P08", "no-space", "No space behind the colon.", "openai-python#498", answer(_BODY.replace(b"data: ", b"data:"), text="ab")),
    case("P09", "more-space", "Spaces and tabs around the data.", "gateways", answer(_BODY.replace(b"data: ", b"data:  \t").replace(b"\n\n", b" \t\n\n"), text="ab")),
    case("P10", "bom", "A BOM at the very start is dropped.", "web platform tests", answer(b"\xef\xbb", b"\xbf" + _BODY, text="ab")),
    case(
        "P10", "bom-inside", "A BOM anywhere else is part of a field's name, which nobody knows.", "web platform tests",
        answer(_LINES, b"\xef\xbb\xbf" + _LINES, _MORE, DONE, text="ab"),
    ),
    case(
        "P11", "comments", "Comments between events and inside of one.", "OpenRouter, DeepSeek docs; ollama#16443; mistral-vibe#794",
        answer(b": OPENROUTER PROCESSING\n\n", b": keep-alive\n\n:\n\n", b": x\n" + _LINES, b"data: {\n: ping\ndata: }\n\n", _MORE, DONE, text="ab"),
    ),
    case(
        "P12", "odd-fields", "Unknown fields, a field without a colon, a space before a name, an id with NUL.", "web platform tests",
        answer(b"retry: 5\nid: 1\x00\nfoo: bar\ndata\n\n", b" data: {\n\n", b"junk\n" + _LINES, b"DATA: {\n\n", _MORE, DONE, text="ab"),
    ),
    case("P13", "named-events", "Names on OpenAI's events change nothing.", "gateways", answer(b"event: message\n" + _LINES, b"event: chunk\n" + _MORE, b"event: done\ndata: [DONE]\n\n", text="ab")),
    case("P14", "empty-data", "Events with empty data are ignored.", "coddy-agent#106", answer(b"data:\n\n", b"data: \n\n", _LINES, b"data:   \n\n", _MORE, DONE, text="ab")),
    case(
        "P15", "line-separators", "U+2028, U+2029 and U+0085 stand raw in JSON; they end no line.", "httpx-sse; str.splitlines",
        answer(say("a\u2028b\u2029c\u0085d"), STOP, DONE, text="a\u2028b\u2029c\u0085d"),
    ),
    case("P16", "done-unterminated", "The marker comes without a line end.", "llama-server; apogee#139", answer(say("a"), b"data: [DONE]", text="a")),
    case(
        "P17", "last-unterminated", "The last event has no line end: it counts where it is whole.", "gateways",
        answer(say("a"), b'data: {"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}', text="ab"),
        answer(say("a"), b'data: {"choices":[{"index":0,"delta":{"content":"b"},"finish_rea', text="a", error="truncated", retryable=True),
    ),
    case("P18", "after-done", "What comes behind the marker does not count.", "proxies", answer(say("a"), STOP, DONE, say("late"), {"error": {"code": 500}}, text="a")),
    case("P19", "many-in-one", "A thousand events in one write.", "proxies that buffer", answer(joined(*[say("x")] * 1000, STOP, DONE), text="x" * 1000)),
    case(
        "P20", "long-line", "A line of 128 KiB, in pieces of 16 KiB (10 MiB: tests/providers).", "hosts that send files",
        answer(*split(joined(say("y" * 131072), STOP, DONE), *range(16384, 131072, 16384)), text="y" * 131072),
    ),
    case("P21", "drip", "One byte at a time.", "slow proxies", answer(*split(joined(say("aé"), STOP, used(3, 2), DONE), *range(1, len(joined(say("aé"), STOP, used(3, 2), DONE)))), text="aé", usage={"input": 3, "output": 2})),
]  # fmt: skip
