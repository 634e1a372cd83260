"""What the tests of the fake endpoint share: its own fixture, and a client that speaks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tinyagent_actors.testing.pytest_plugin import *  # noqa: F403  # as users are told to


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client that keeps its connections and has no patience of its own; it reads no certificates, for it needs none."""
    limits = httpx.Limits(max_connections=500, max_keepalive_connections=500)
    async with httpx.AsyncClient(timeout=30, limits=limits, verify=False) as client:  # noqa: S501  # plain HTTP
        yield client
