"""Cassettes: exchanges with a provider as a text that can be read, compared, kept in a repository and played back.

**The form.** JSON lines, because an answer is a list of pieces and a list of lines is what tools compare well: a changed
piece is a changed line. Refused: TOML (an array of a thousand tables, and strings that cannot hold every character),
YAML (a parser that guesses), one JSON document (a comma makes two lines of one change), HAR (a body is one text there,
and has no pieces). The first line is the head; then, for each exchange, its request, its response, a line for each piece
of the body, how it ended and, in a corpus, what a reader of it should find. `docs/reference/cassettes.md` has every
member.

**Bytes are exact.** A piece is what came at once, as it came out of HTTP's framing (and of its compression). A piece that is
UTF-8 stands as text, with every character that cannot be seen escaped, so that a stray U+2028 is visible and cannot be
mangled by an editor; any other, such as half a character, stands as base64. Times are seconds since the line before.

**Requests are compared, not bytes.** A request is known by its method, path, query and body; the body as JSON, without
regard to the order of members. Headers are kept for the reader, and only those that say nothing of who asked. A request
without a body in the cassette stands for any to its path.

**Nothing secret is written.** What names itself a credential (headers, cookies, members of queries) is replaced; so is the
value of it wherever else it stands in the exchange; so is what has the shape of a known kind of key. A body that comes in
pieces is looked at as a whole, since a key can be cut in two, and is overwritten in place, so that the pieces keep their
lengths. A request that is compared is treated in the same way first. What this cannot see: a key that a *model* spells out
in several events, or that an application encodes.

**Ends.** `clean`: by HTTP's rules. `cut`: the connection was closed too early. `reset`: torn down. `left`: whoever read it
went away (or kept no more), so nobody knows what would have come; it is played back as silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, get_args

import attrs
import orjson

VERSION: Final = 1

Framing: TypeAlias = Literal["chunked", "length", "close"]
End: TypeAlias = Literal["clean", "cut", "reset", "left"]
Headers: TypeAlias = tuple[tuple[str, str], ...]
FRAMINGS: Final[tuple[Framing, ...]] = get_args(Framing)
ENDS: Final[tuple[End, ...]] = get_args(End)


@attrs.frozen(kw_only=True)
class CassetteRequest:
    """A request without its credentials."""

    method: str = "POST"
    path: str
    query: str = ""
    headers: Headers = ()
    has_body: bool = False
    """Whether the body counts; a request without one in the cassette stands for any to its path."""
    body: Any = None
    """As JSON knows it; a text where it is not JSON."""

    @property
    def key(self) -> str:
        """What two requests have in common that are the same."""
        body = orjson.dumps(self.body, option=orjson.OPT_SORT_KEYS).decode() if self.has_body else ""
        return f"{self.place} {body}"

    @property
    def place(self) -> str:
        """Method, path and query."""
        return f"{self.method} {self.path}{'?' if self.query else ''}{self.query}"


@attrs.frozen
class Chunk:
    """A piece of a body."""

    data: bytes
    after: float = 0.0
    """Seconds since the piece before, or the headers."""


@attrs.frozen(kw_only=True)
class CassetteResponse:
    """An answer, as it came."""

    status: int = 200
    headers: Headers = ()
    """In order, names in lower case, without those of the framing."""
    framing: Framing = "chunked"
    length: int | None = None
    """What `content-length` said, under `length`."""
    after: float = 0.0
    """Seconds from the request to the headers."""
    chunks: tuple[Chunk, ...] = ()
    end: End = "clean"
    end_after: float = 0.0

    @property
    def body(self) -> bytes:
        """All pieces joined."""
        return b"".join(chunk.data for chunk in self.chunks)


@attrs.frozen(kw_only=True)
class CassetteExchange:
    """A request and its answer."""

    request: CassetteRequest
    response: CassetteResponse
    expected: Mapping[str, Any] | None = None
    """What a reader should find in the answer; for a corpus. Playing back ignores it."""
    line: int = 0
    """Where it stands in its file; 0: in none."""


@attrs.frozen(kw_only=True)
class Cassette:
    """What a file holds."""

    exchanges: tuple[CassetteExchange, ...] = ()
    base: str = "/v1"
    """The path of the base URL that the client was given."""
    about: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    """Whatever its writer wants to say; text, mostly."""
