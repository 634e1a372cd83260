"""The fake endpoint: a real HTTP server on loopback that answers as a provider would, or as none should.

`open_endpoint` is the whole of it: what it serves is a list of `Reply`, or a `Policy`, which decides by the conversation. It
takes requests for completions at any path that ends as a dialect's does (``/v1/chat/completions``, ``/v1/messages``), and for ``/v1/models``
and ``/healthz``; anything else is an error in the shape a provider gives it. It counts what happens, so that a test can wait
for it in place of sleeping.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import final

import attrs
import trio

from tinyagent_actors._errors import SpecError
from tinyagent_actors.testing._policy import Policy, Script
from tinyagent_actors.testing._request import RecordedRequest
from tinyagent_actors.testing._script import Reply
from tinyagent_actors.testing._server import Server
from tinyagent_actors.testing._statistics import Answered, EndpointStatistics, Limits


@final
@attrs.define(eq=False, repr=False)
class Endpoint:
    """An endpoint that is open. Made by `open_endpoint` alone."""

    host: str
    """The address it is bound to."""
    port: int
    _server: Server

    @property
    def url(self) -> str:
        """The base URL for a client: ``http://127.0.0.1:PORT/v1``."""
        return f"{self.origin}/v1"

    @property
    def origin(self) -> str:
        """The URL without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The newest requests, oldest first; each is there as soon as its body has come. Bounded by `limits`."""
        return tuple(self._server.requests)

    @property
    def errors(self) -> tuple[Exception, ...]:
        """What policies raised, and faults that lie outside of their body: the client got a 500."""
        return tuple(self._server.errors)

    def check(self) -> None:
        """Raise what stands in `errors`.

        Raises:
            ExceptionGroup: There was something.
        """
        if self._server.errors:
            raise ExceptionGroup("the fake endpoint met errors", list(self._server.errors))

    def statistics(self) -> EndpointStatistics:
        """Give the counters as they are now."""
        return self._server.statistics()

    async def wait_for(self, predicate: Callable[[EndpointStatistics], bool]) -> EndpointStatistics:
        """Wait until the counters satisfy a condition. Cancellation leaves nothing behind.

        Args:
            predicate: Asked now, and after each change.

        Returns:
            The counters that did.

        Example:
            Wait for a client to leave::

                with trio.fail_after(5):
                    await endpoint.wait_for(lambda now: now.disconnects == 1)
        """
        await trio.lowlevel.checkpoint()
        while not predicate(now := self.statistics()):
            await self._server.changes.park()
        return now

    def use(self, source: Policy | Sequence[Reply]) -> None:
        """Answer by this list or policy from the next request on."""
        self._server.policy = _to_policy(source)

    def enqueue(self, *replies: Reply) -> None:
        """Put replies at the end of the script.

        Raises:
            SpecError: The endpoint is driven by a policy.
        """
        if not isinstance(self._server.policy, Script):
            raise SpecError("replies", "the endpoint is driven by a policy, not by a script")
        self._server.policy.add(replies)

    def reset(self, source: Policy | Sequence[Reply] = ()) -> None:
        """Forget requests, counters and errors, and begin with this list or policy.

        Answers that are being given go on, and are counted nowhere. Numbers of requests and connections go on, too.
        """
        self._server.forget()
        self.use(source)

    def __repr__(self) -> str:
        now = self.statistics()
        return f"<Endpoint {self.url} requests={now.requests} open_streams={now.open_streams}>"


def _to_policy(source: Policy | Sequence[Reply]) -> Policy:
    if isinstance(source, Sequence):
        return Script(source)
    if callable(source):
        return source
    raise SpecError("source", f"must be a list of replies or a policy, not {type(source).__name__}")


def _address(host: str, *, allow_remote: bool) -> str:
    """Check the address to bind: a number, and of loopback unless more was asked for."""
    host = "127.0.0.1" if host == "localhost" else host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise SpecError("host", f"must be an IP address or localhost, not {host!r}") from None
    if not (address.is_loopback or allow_remote):
        raise SpecError("host", f"{host} is not loopback: others could reach it; `allow_remote` must say so")
    return host


@asynccontextmanager
async def open_endpoint(
    source: Policy | Sequence[Reply] = (),
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    model: str = "fake-model",
    limits: Limits | None = None,
    api_key: str | None = None,
    allow_remote: bool = False,
    on_answer: Callable[[Answered], None] | None = None,
) -> AsyncIterator[Endpoint]:
    """Serve replies over HTTP while the block runs. At its end, also after a cancel, every connection is closed.

    Args:
        source: Replies in order, or a policy.
        host: An IP address, or ``localhost``.
        port: 0: any free one.
        model: The model that ``/v1/models`` lists.
        limits: The bounds.
        api_key: The only key that is let in; ``None``: anybody is.
        allow_remote: Whether `host` may be an address that others can reach.
        on_answer: Called, in the endpoint's thread, when the work on a request has ended. It must not block.

    Raises:
        SpecError: An argument is wrong.
        OSError: The address cannot be bound.

    Example:
        A client that meets a rate limit, then an answer::

            async with open_endpoint([Reply.rate_limited(2), Reply(text="hello")]) as endpoint:
                model = Model(id="any", base_url=endpoint.url)
                ...
            assert endpoint.statistics().served == 2
    """
    policy = _to_policy(source)
    listeners = await trio.open_tcp_listeners(port, host=_address(host, allow_remote=allow_remote))
    bound = listeners[0].socket.getsockname()
    server = Server(policy=policy, model=model, limits=limits or Limits(), api_key=api_key, on_answer=on_answer)
    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, server.serve, listeners)
            try:
                yield Endpoint(bound[0], bound[1], server)
            except Exception as error:  # noqa: BLE001  # raised again below, outside of the nursery, which would wrap it
                failure = error
            nursery.cancel_scope.cancel()
    finally:
        for listener in listeners:
            await trio.aclose_forcefully(listener)
    if failure is not None:
        raise failure
