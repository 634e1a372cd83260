"""HashRing: which of several keeps a key, so that one that comes or goes moves few keys (consistent hashing)."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import attrs

POINTS: Final = 128
"""Points on the ring for each member: the more, the more evenly they share."""
_IN_ONE_DIGEST: Final = 8
_WIDTH: Final = 8


def position(key: str | bytes | int) -> int:
    """Give the place of a key on the ring; the same in every process and on every day, unlike `hash`.

    Raises:
        TypeError: It is of another type, whose bytes nobody has settled.
    """
    if isinstance(key, bytes):
        data = key
    elif isinstance(key, str | int):
        data = str(key).encode(errors="surrogatepass")
    else:
        message = f"a key is a string, bytes or a whole number, not a {type(key).__name__}"
        raise TypeError(message)
    return int.from_bytes(blake2b(data, digest_size=_WIDTH).digest())


@attrs.define(eq=False)
class HashRing:
    """Members by name, each at `POINTS` places of a ring; a key belongs to the member whose place comes next.

    A member that comes takes about its share of the keys, and takes them from all others alike; one that goes leaves its own to
    all others; no other key moves.
    """

    members: tuple[str, ...]
    _places: list[int] = attrs.field(init=False, repr=False)
    _owners: dict[int, str] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._owners = {place: member for member in self.members for place in _places_of(member)}
        self._places = sorted(self._owners)

    def owner(self, key: str | bytes | int) -> str:
        """Give the member that keeps a key. There must be one.

        Raises:
            TypeError: The key is neither a string, bytes nor a whole number.
        """
        place = bisect(self._places, position(key)) % len(self._places)
        return self._owners[self._places[place]]


def _places_of(member: str) -> Iterable[int]:
    for number in range(POINTS // _IN_ONE_DIGEST):
        digest = blake2b(f"{member}#{number}".encode(errors="surrogatepass")).digest()
        for start in range(0, _IN_ONE_DIGEST * _WIDTH, _WIDTH):
            yield int.from_bytes(digest[start : start + _WIDTH])
