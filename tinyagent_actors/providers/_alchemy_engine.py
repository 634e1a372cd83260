"""The engine `alchemy`: `alchemy_llm::stream` as it was published, read through a pump like the native one.

The hub in Rust gives each stream a runtime of its own and turns the crate's events into items; so the assembler, the
deadlines and the stream are those of the other engines. What the crate does not tell cannot be mended here;
`docs/reference/alchemy-engine.md` lists it. It has no deadline for connecting: `first_byte` covers that, too.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, cast

import attrs

from tinyagent_actors import _alchemy
from tinyagent_actors.actors import Runtime, current_runtime
from tinyagent_actors.providers._alchemy_request import to_alchemy
from tinyagent_actors.providers._endpoint import Endpoint
from tinyagent_actors.providers._native_engine import NativeSource
from tinyagent_actors.providers._pump import Pump

if TYPE_CHECKING:
    from tinyagent_actors._alchemy import AlchemyHub, Hub


@attrs.define(eq=False)
class AlchemyPump(Pump):
    """The crate's streams of a runtime, and the task that empties their hub."""

    crate: AlchemyHub = attrs.field(kw_only=True)
    """The hub, which is as the native one but for `open`."""


def _make_pump(runtime: Runtime) -> AlchemyPump:
    hub = _alchemy.AlchemyHub()
    return AlchemyPump(cast("Hub", hub), runtime, crate=hub)


class AlchemySource(NativeSource):
    """One response of the crate, which does not tell when its request was written. See `Source`."""

    __slots__ = ()

    def request_age(self) -> float:
        """See `Source.request_age`: nothing better is known than when it was first asked for."""
        return inf


def open_alchemy(api: str, endpoint: Endpoint, content: bytes) -> AlchemySource:
    """Start a response. Nothing waits in here.

    Args:
        api: The dialect.
        endpoint: Where to ask.
        content: The body that the dialect has made.

    Raises:
        SpecError: The crate cannot send it, or not safely.
    """
    request = to_alchemy(api, endpoint, content)
    pump = current_runtime().resource(AlchemyPump, _make_pump)
    stream = pump.crate.open(request)
    return AlchemySource(pump, stream, pump.attach(stream))
