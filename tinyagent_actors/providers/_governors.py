"""Governors: the governors of a runtime, one for each (credential, host)."""

from __future__ import annotations

import os
import random
from functools import lru_cache
from hashlib import blake2b
from math import inf
from typing import Final
from urllib.parse import urlsplit

import attrs

from tinyagent_actors._redact import is_secret_name
from tinyagent_actors.actors import Runtime, current_runtime
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._governor import Governor
from tinyagent_actors.providers._governor_gate import Gate
from tinyagent_actors.providers._governor_limit import WINDOW, InFlightLimit
from tinyagent_actors.providers._governor_statistics import GovernorStatistics

MAX_KEPT: Final = 1024
"""Governors; with more than that, those that are idle are forgotten."""

_SALT: Final = os.urandom(16)
"""Of this process alone, so that a digest tells nothing about the key that it is of."""


@lru_cache(maxsize=256)
def _origin(url: str) -> tuple[str, str]:
    """Give the scheme and the host of a URL, the host with its port where it has one."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


@attrs.define(eq=False)
class Governors:
    """The governors of a runtime, made when they are first asked for."""

    _runtime: Runtime
    _kept: dict[tuple[str, str, bytes], Governor] = attrs.field(factory=dict, init=False, repr=False)

    def governor_of(self, endpoint: Endpoint) -> Governor:
        """Give the governor of all calls that go where this one goes, with the key that it has."""
        url, _, query = endpoint.url.partition("?")
        secrets = [f"{name}:{value}" for name, value in endpoint.headers if is_secret_name(name)]
        if query:  # which may hold a key as well
            secrets.append(query)
        digest = blake2b("\n".join(secrets).encode(), key=_SALT, digest_size=16).digest() if secrets else b""
        key = (*_origin(url), digest)
        found = self._kept.get(key)
        if found is None:
            self._make_room()
            limit = InFlightLimit(window=WINDOW if secrets else inf)
            found = self._kept[key] = Governor(self._name(key[1]), self._runtime, Gate(limit, random.random))
        return found

    def statistics(self) -> tuple[GovernorStatistics, ...]:
        """Give the numbers of each."""
        return tuple(governor.statistics() for governor in self._kept.values())

    async def aclose(self) -> None:
        """End them all; see `Governor.aclose`."""
        for governor in self._kept.values():
            await governor.aclose()

    def _name(self, host: str) -> str:
        taken = {governor.name for governor in self._kept.values()}
        number = 1
        while (name := host if number == 1 else f"{host}#{number}") in taken:
            number += 1
        return name

    def _make_room(self) -> None:
        if len(self._kept) >= MAX_KEPT:
            self._kept = {key: governor for key, governor in self._kept.items() if not governor.is_idle}


def current_governors() -> Governors:
    """Give those of the system this task belongs to, else those of this `trio.run`."""
    return current_runtime().resource(Governors, Governors)


def governor_statistics() -> tuple[GovernorStatistics, ...]:
    """Give the numbers of every governor of this system (outside of systems: of this `trio.run`): who waits for which provider, and why.

    Example:
        ::

            for governor in governor_statistics():
                print(governor.governor, governor.in_flight, len(governor.queue), governor.pause)
    """
    return current_governors().statistics()
