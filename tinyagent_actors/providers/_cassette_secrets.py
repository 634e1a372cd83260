"""The credentials of an exchange, found and taken out, before anything of it is kept or compared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import attrs

from tinyagent_actors._redact import REDACTED, is_secret_name, redact_text, secret_spans
from tinyagent_actors.providers._cassette import CassetteRequest, Headers

SHORTEST: Final = 6
"""Characters of a credential that is looked for in bodies; a shorter one is a dummy, and would be found in every word."""

_TELLING_HEADERS: Final = frozenset(
    {"accept", "anthropic-beta", "anthropic-version", "content-type", "http-referer", "openai-beta", "x-title"}
)
"""The headers of a request that are kept: they change the answer, and say nothing of who asked."""
_HOP_HEADERS: Final = frozenset({
    "connection", "content-length", "date", "keep-alive", "proxy-authenticate", "proxy-connection", "set-cookie", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
"""The headers of a response that are not: they belong to one connection, one moment or one client."""
_ACCOUNT_HEADERS: Final = frozenset({"anthropic-organization-id", "openai-organization", "openai-project"})
_SECRET_MEMBERS: Final = frozenset({"auth", "code", "key", "sig", "signature"})
"""Members of a query that are credentials there, though the words mean something else elsewhere."""
_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "x-goog-api-key"})


@attrs.frozen
class Secrets:
    """The credentials that one request carries."""

    _values: tuple[str, ...] = ()
    """Longest first."""

    @classmethod
    def of(cls, headers: Iterable[tuple[str, str]], query: str) -> Secrets:
        """Find the credentials of a request in its headers and its query."""
        found = {value for name, text in headers if _is_secret_header(name) for value in _values_in(name.lower(), text)}
        found |= {value for name, value in parse_qsl(query) if _is_secret_member(name)}
        return cls(tuple(sorted((value for value in found if len(value) >= SHORTEST), key=len, reverse=True)))

    def text(self, text: str) -> str:
        """Give a text without them, and without what looks like one."""
        for value in self._values:
            text = text.replace(value, REDACTED)
        return redact_text(text)

    def json(self, value: Any) -> Any:
        """Give a structure without them. An object under a secret name is a schema, and is looked into."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(item) for item in value]
        if isinstance(value, Mapping):
            return {self.text(name): self._member(name, item) for name, item in value.items()}
        return value

    def _member(self, name: str, value: Any) -> Any:
        if value is not None and not isinstance(value, Mapping | list | bool) and is_secret_name(name):
            return REDACTED
        return self.json(value)

    def pieces(self, pieces: Sequence[bytes]) -> list[bytes]:
        """Give a body in pieces with them overwritten; each piece keeps its length."""
        whole = bytearray(b"".join(pieces))
        for begin, end in self._spans(bytes(whole).decode("latin-1")):
            # A number stays one, so that JSON stays JSON.
            whole[begin:end] = (b"1" if bytes(whole[begin:end]).isdigit() else b"*") * (end - begin)
        given, at = [], 0
        for piece in pieces:
            given.append(bytes(whole[at : at + len(piece)]))
            at += len(piece)
        return given

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        for value in self._values:
            needle = value.encode().decode("latin-1")
            yield from (match.span() for match in re.finditer(re.escape(needle), text))
        yield from secret_spans(text)

    def query(self, query: str) -> str:
        """Give a query without them."""
        pairs = parse_qsl(query, keep_blank_values=True)
        return urlencode([(name, REDACTED if _is_secret_member(name) else self.text(text)) for name, text in pairs])


def kept_request(
    method: str, target: str, headers: Iterable[tuple[str, str]], content: bytes, parsed: Any
) -> tuple[CassetteRequest, Secrets]:
    """Give a request as a cassette keeps and compares it, and its credentials.

    Args:
        method: Of the request.
        target: Its path and query.
        headers: All of them.
        content: Its body.
        parsed: The body as JSON, or None where it is none.
    """
    path, _, query = target.partition("?")
    pairs = [(name.lower(), value) for name, value in headers]
    secrets = Secrets.of(pairs, query)
    body = secrets.text(content.decode("utf-8", "replace")) if parsed is None else secrets.json(parsed)
    request = CassetteRequest(
        method=method,
        path=secrets.text(path),
        query=secrets.query(query),
        headers=tuple((name, secrets.text(value)) for name, value in pairs if name in _TELLING_HEADERS),
        has_body=True,
        body=body,
    )
    return request, secrets


def kept_headers(headers: Iterable[tuple[str, str]], secrets: Secrets) -> Headers:
    """Give the headers of a response as a cassette keeps them."""
    pairs = [(name.lower(), value) for name, value in headers]
    return tuple(
        (name, REDACTED if _is_secret_header(name) or name in _ACCOUNT_HEADERS else secrets.text(value))
        for name, value in pairs
        if name not in _HOP_HEADERS
    )


def _is_secret_header(name: str) -> bool:
    return name.lower() in _SECRET_HEADERS or is_secret_name(name)


def _is_secret_member(name: str) -> bool:
    return name.lower() in _SECRET_MEMBERS or is_secret_name(name)


def _values_in(name: str, text: str) -> Iterator[str]:
    """Give the credentials that the value of a header holds."""
    if name == "cookie":
        yield from (pair.partition("=")[2].strip() for pair in text.split(";"))
        return
    scheme, _, value = text.strip().partition(" ")
    yield value.strip() or scheme
