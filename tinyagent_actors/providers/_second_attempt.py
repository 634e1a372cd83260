"""Asking again without `stream_options`, where a server refuses it, and remembering that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from tinyagent_actors.providers._items import BODY, END, ERROR, HEAD, Item
from tinyagent_actors.providers._source import Source

MEMBER: Final = b"stream_options"

_REFUSALS: Final = (400, 422)
_MAX_REMEMBERED: Final = 1024


@attrs.define(eq=False)
class RefusedMembers:
    """The endpoints of a runtime that do not take `stream_options`."""

    _urls: dict[str, None] = attrs.field(factory=dict, init=False)
    """In order; the oldest go first."""

    def __contains__(self, url: str) -> bool:
        return url in self._urls

    def add(self, url: str) -> None:
        """Remember an endpoint."""
        if len(self._urls) >= _MAX_REMEMBERED:
            del self._urls[next(iter(self._urls))]
        self._urls[url] = None

    async def aclose(self) -> None:
        """Forget. Nothing to wait for."""
        self._urls.clear()


@attrs.define(eq=False)
class SecondAttempt:
    """Looks at the answer of a request that held the member; keeps a refusal back until it is known what it refuses."""

    _open: Callable[[], Source]
    """Sends the request without the member, and remembers the endpoint."""
    is_decided: bool = attrs.field(default=False, init=False)
    """Whether the answer goes through from now on."""
    _held: list[Item] = attrs.field(factory=list, init=False)

    def look(self, items: list[Item]) -> tuple[list[Item], Source | None]:
        """Give the items that go on now, or the source of the second request."""
        if not self._held and not self._is_refusal(items):
            self.is_decided = bool(items)
            return items, None
        self._held += items
        if not items or items[-1][0] not in (END, ERROR):
            return [], None
        self.is_decided = True
        body = b"".join(payload for kind, payload in self._held if kind == BODY)
        return ([], self._open()) if MEMBER in body else (self._held, None)

    def _is_refusal(self, items: list[Item]) -> bool:
        return bool(items) and items[0][0] == HEAD and items[0][1][0] in _REFUSALS
