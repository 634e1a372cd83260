"""Cassettes as files: one JSON object a line, read with care and written so that people can compare them."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import attrs
import orjson

from tinyagent_actors._errors import CassetteError
from tinyagent_actors.providers._cassette import (
    ENDS,
    FRAMINGS,
    VERSION,
    Cassette,
    CassetteExchange,
    CassetteRequest,
    CassetteResponse,
    Chunk,
    Headers,
)

MAX_FILE: Final = 256 * 1024 * 1024
"""Bytes of a file that is read."""

_DIGITS: Final = 6
"""Of a second: what a file keeps of times."""
_STATUSES: Final = range(200, 600)
_UNSEEN: Final = re.compile(
    r"[^\x20-\x7e\xa1-\xac\xae-\u1fff\u2030-\u205e\u20a0-\ud7ff\uf900-\ufefe\uff01-\uffef\U0001f000-\U0001faff]"
)
"""Characters that are written as escapes: those that are not surely seen, and are the same in every editor."""
_KINDS: Final = ("request", "response", "chunk", "chunk64", "end", "expected")


def read_cassette(path: str | Path) -> Cassette:
    """Read a file.

    Raises:
        CassetteError: It cannot be read, or is wrong; names the line and the member.
    """
    file = str(path)
    try:
        with Path(path).open("rb") as opened:
            data = opened.read(MAX_FILE + 1)
    except OSError as error:
        raise CassetteError(file, 0, "", f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE:
        raise CassetteError(file, 0, "", f"is larger than {MAX_FILE} bytes")
    return parse_cassette(data, file)


def parse_cassette(data: bytes, file: str = "cassette") -> Cassette:
    """Parse the bytes of a file; `file` is its name in errors.

    Raises:
        CassetteError: They are wrong.
    """
    lines = _lines(data, file)
    head = next(lines, None)
    if head is None:
        raise CassetteError(file, 0, "", "is empty")
    head.only("cassette", "base", "about")
    if head.get("cassette", int, None) != VERSION:
        head.fail("cassette", f"must be {VERSION}, the version of the form")
    base = head.get("base", str, "/v1")
    about = head.get("about", dict, {})
    return Cassette(exchanges=tuple(_exchanges(lines, file)), base=base, about=about)


@attrs.frozen
class _Line:
    """A line, and what is checked of it."""

    file: str
    number: int
    members: Mapping[str, Any]
    prefix: str = ""

    def fail(self, field: str, problem: str) -> NoReturn:
        raise CassetteError(self.file, self.number, f"{self.prefix}{field}", problem)

    def only(self, *names: str) -> None:
        for name in self.members:
            if name not in names:
                self.fail(name, f"is not known here; there may be {', '.join(names)}")

    def get(self, name: str, kind: type, default: Any) -> Any:
        value = self.members.get(name, default)
        if value is not default and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
            self.fail(name, f"must be {_TYPES[kind]}, is {_name(value)}")
        return value

    def must(self, name: str, kind: type) -> Any:
        if name not in self.members:
            self.fail(name, "is missing")
        return self.get(name, kind, None)

    def one_of(self, name: str, allowed: tuple[str, ...], default: str) -> Any:
        value = self.get(name, str, default)
        if value not in allowed:
            self.fail(name, f"must be one of {', '.join(allowed)}, is {value!r}")
        return value

    def seconds(self, name: str = "after") -> float:
        value = self.members.get(name, 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            self.fail(name, f"must be seconds of at least 0, is {_name(value)}")
        return float(value)

    def headers(self) -> Headers:
        pairs = self.get("headers", list, [])
        for at, pair in enumerate(pairs):
            if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):  # noqa: PLR2004  # name and value
                self.fail(f"headers[{at}]", "must be a list of a name and a value")
            if any(mark in part for part in pair for mark in "\r\n\0"):
                self.fail(f"headers[{at}]", "holds what no header can carry")
        return tuple((name, value) for name, value in pairs)

    def inside(self, name: str) -> _Line:
        return _Line(self.file, self.number, self.must(name, dict), f"{name}.")


_TYPES: Final = {str: "a text", int: "a whole number", dict: "an object", list: "a list", bool: "true or false"}


def _name(value: object) -> str:
    return "null" if value is None else _TYPES.get(type(value), repr(value))


def _lines(data: bytes, file: str) -> Iterator[_Line]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            members = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise CassetteError(file, number, "", f"is not JSON: {error}") from None
        if not isinstance(members, dict):
            raise CassetteError(file, number, "", f"must be an object, is {_name(members)}")
        yield _Line(file, number, members)


def _kind(line: _Line) -> str:
    kinds = [kind for kind in _KINDS if kind in line.members]
    if len(kinds) != 1:
        line.fail("", f"must have exactly one of {', '.join(_KINDS)}")
    return kinds[0]


def _exchanges(lines: Iterator[_Line], file: str) -> Iterator[CassetteExchange]:
    line = next(lines, None)
    while line is not None:
        _expect(line, "request")
        number, request = line.number, _request(line)
        line = _next(lines, file, number, "response")
        _expect(line, "response")
        head, response = line, _response(line)
        chunks: list[Chunk] = []
        while _kind(line := _next(lines, file, line.number, "end")) in ("chunk", "chunk64"):
            chunks.append(_chunk(line))
        _expect(line, "end")
        line.only("end", "after")
        end, end_after = line.one_of("end", ENDS, ""), line.seconds()
        response = attrs.evolve(response, chunks=tuple(chunks), end=end, end_after=end_after)
        size = sum(len(chunk.data) for chunk in chunks)
        if response.length is not None and (size > response.length or (end == "clean" and size != response.length)):
            head.fail("response.length", f"is {response.length}, but the body has {size} bytes and ends {end}")
        line = next(lines, None)
        expected = None
        if line is not None and _kind(line) == "expected":
            line.only("expected")
            expected = line.must("expected", dict)
            line = next(lines, None)
        yield CassetteExchange(request=request, response=response, expected=expected, line=number)


def _expect(line: _Line, kind: str) -> None:
    found = _kind(line)
    if found != kind:
        line.fail(found, f"stands where {kind} must stand")


def _next(lines: Iterator[_Line], file: str, number: int, wanted: str) -> _Line:
    line = next(lines, None)
    if line is None:
        raise CassetteError(file, number, "", f"the file ends here, before the {wanted} of its last exchange")
    return line


def _request(line: _Line) -> CassetteRequest:
    line.only("request")
    inner = line.inside("request")
    inner.only("method", "path", "query", "headers", "body")
    path = inner.must("path", str)
    if not path.startswith("/"):
        inner.fail("path", "must begin with /")
    return CassetteRequest(
        method=inner.get("method", str, "POST"),
        path=path,
        query=inner.get("query", str, ""),
        headers=inner.headers(),
        has_body="body" in inner.members,
        body=inner.members.get("body"),
    )


def _response(line: _Line) -> CassetteResponse:
    line.only("response")
    inner = line.inside("response")
    inner.only("status", "headers", "framing", "length", "after")
    status = inner.must("status", int)
    if status not in _STATUSES:
        inner.fail("status", f"must be from {_STATUSES.start} to {_STATUSES.stop - 1}, is {status}")
    framing = inner.one_of("framing", FRAMINGS, "chunked")
    length = inner.get("length", int, None)
    if (length is None) == (framing == "length") or (length is not None and length < 0):
        inner.fail("length", "must be there, and at least 0, where the framing is length; and only there")
    return CassetteResponse(
        status=status, headers=inner.headers(), framing=framing, length=length, after=inner.seconds()
    )


def _chunk(line: _Line) -> Chunk:
    if "chunk" in line.members:
        line.only("chunk", "after")
        text = line.must("chunk", str)
        return Chunk(text.encode(), line.seconds())
    line.only("chunk64", "after")
    try:
        data = base64.b64decode(line.must("chunk64", str), validate=True)
    except (binascii.Error, ValueError):
        line.fail("chunk64", "is not base64")
    return Chunk(data, line.seconds())


# Writing.


def format_cassette(cassette: Cassette) -> bytes:
    """Give the bytes of a file."""
    return format_head(cassette) + b"".join(format_exchange(exchange) for exchange in cassette.exchanges)


def format_head(cassette: Cassette) -> bytes:
    """Give the first line."""
    return _line({"cassette": VERSION, "base": cassette.base, "about": dict(cassette.about)})


def format_exchange(exchange: CassetteExchange) -> bytes:
    """Give the lines of an exchange."""
    request, response = exchange.request, exchange.response
    asked: dict[str, Any] = {"method": request.method, "path": request.path}
    asked |= {"query": request.query} if request.query else {}
    asked |= {"headers": request.headers} if request.headers else {}
    asked |= {"body": request.body} if request.has_body else {}
    given: dict[str, Any] = {"status": response.status, "framing": response.framing}
    given |= {} if response.length is None else {"length": response.length}
    given |= _after(response.after) | {"headers": response.headers}
    lines = [_line({"request": asked}), _line({"response": given})]
    lines += [_line(_bytes(chunk.data) | _after(chunk.after)) for chunk in response.chunks]
    lines.append(_line({"end": response.end} | _after(response.end_after)))
    if exchange.expected is not None:
        lines.append(_line({"expected": exchange.expected}))
    return b"".join(lines)


def _after(seconds: float) -> dict[str, float]:
    rounded = round(seconds, _DIGITS)
    return {"after": rounded} if rounded else {}


def _bytes(data: bytes) -> dict[str, str]:
    try:
        return {"chunk": data.decode()}
    except UnicodeDecodeError:
        return {"chunk64": base64.b64encode(data).decode()}


def _line(value: Mapping[str, Any]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    return _UNSEEN.sub(lambda match: json.dumps(match[0])[1:-1], text).encode() + b"\n"
