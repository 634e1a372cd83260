"""The event bus: every step publishes, whoever wants reads, and no reader can hold or hurt a writer.

Publishing is plain and synchronous: it numbers the event, builds it once, and lays it into the buffer of each
subscription whose pattern matches. It never waits, so it works in a `finally` under cancellation. Where nobody listens
it only counts.

The contract on loss. A `block` subscription loses nothing: the producers of deltas and progress wait for its room, at
their own checkpoints (`make_room`), for at most `stall` seconds; then the subscription, not the producer, is cut off and
its iteration raises `SubscriberTooSlowError`. Lifecycle events never wait for anybody. A `conflate` subscription never
makes anybody wait: deltas of one block that lie unread are merged into one event, and if what remains still exceeds
its bound, the oldest go and a `Gap` in their place says which. In neither can the last event be lost: what is dropped is always
the oldest.

Refused: a task per subscriber (a memory channel and a switch for each event), and telling loss by holes in `seq`
(a pattern leaves holes of its own).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs
import trio

from tinyagent_actors.actors._pattern import path_matcher
from tinyagent_actors.actors._subscription import Policy, Subscription, block
from tinyagent_actors.events import Event, MessageUpdateEvent, SubscriberFailedEvent

_MOST_ROUTES: Final = 10_000


@attrs.define(eq=False)
class EventBus:
    """Numbers, builds and hands out the events of one system."""

    _seq: int = attrs.field(default=0, init=False)
    _subscriptions: list[Subscription] = attrs.field(factory=list, init=False)
    _routes: dict[str, tuple[Subscription, ...]] = attrs.field(factory=dict, init=False)
    """Path to matching subscriptions; emptied whenever one comes or goes, and when it grows past its bound."""
    _closed: bool = attrs.field(default=False, init=False)

    def publish(self, kind: type[Event], path: str, /, **fields: Any) -> int:
        """Number and hand out an event of `kind` about `path`; never waits.

        Args:
            kind: The class of the event.
            path: The actor it is about.
            **fields: `run`, `turn`, `cause` and the fields of the class.

        Returns:
            Its `seq`, the `cause` of what follows from it.
        """
        return self.publish_fields(kind, path, fields)

    def publish_fields(self, kind: type[Event], path: str, fields: dict[str, Any], /) -> int:
        """Do as `publish`, with the fields in a dictionary of their own, which is the event's from then on."""
        self._seq += 1
        seq = self._seq
        if self._subscriptions:
            routes = self._routes_of(path)
            if routes:
                now = trio.current_time()
                fields["seq"], fields["wall_time"], fields["monotonic_time"], fields["path"] = (
                    seq,
                    time.time(),
                    now,
                    path,
                )
                event = kind(**fields)
                is_delta = kind is MessageUpdateEvent
                too_slow: tuple[Subscription, ...] = ()
                for subscription in routes:
                    if (subscription.has_deltas or not is_delta) and not subscription.offer(event, now):
                        too_slow += (subscription,)
                for subscription in too_slow:  # only now: that is an event too, and comes after this one everywhere
                    self._cut_off(subscription)
        return seq

    @property
    def events(self) -> int:
        """How many events were published so far."""
        return self._seq

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Those that are open."""
        return tuple(self._subscriptions)

    def wants_deltas(self, path: str) -> bool:
        """Whether anybody would get a delta about `path`; lets a producer skip the making of deltas."""
        return bool(self._subscriptions) and any(subscription.has_deltas for subscription in self._routes_of(path))

    def is_crowded(self, path: str) -> bool:
        """Whether a producer of deltas or progress about `path` has to wait: `make_room` would."""
        return any(subscription.is_full for subscription in self._routes_of(path))

    async def make_room(self, path: str) -> None:
        """Wait until every `block` subscription that matches `path` has room, or is cut off.

        For producers of deltas and progress. A checkpoint only if it has to wait. Cancelling it leaves nothing behind.
        """
        for subscription in self._routes_of(path):
            if subscription.is_full and not await subscription.wait_for_room():
                self._cut_off(subscription)

    @asynccontextmanager
    async def subscribe(self, pattern: str = "**", *, policy: Policy | None = None) -> AsyncIterator[Subscription]:
        """Open a subscription to the events about paths that match `pattern`; leaving the block ends it.

        Args:
            pattern: Relative to the root: ``team/**`` is the subtree of ``/team`` with itself.
            policy: `block()` (the default) or `conflate(n)`.

        Yields:
            The subscription, an async iterator of `Event` and `Gap`. It ends when the system has stopped.

        Raises:
            SpecError: The pattern is none.
        """
        subscription = self.open_subscription(pattern, policy=policy)
        try:
            yield subscription
        finally:
            self.close_subscription(subscription)

    def open_subscription(self, pattern: str, *, policy: Policy | None = None, has_deltas: bool = True) -> Subscription:
        """Open a subscription whose owner closes it himself, with `close_subscription`.

        Args:
            pattern: As for `subscribe`.
            policy: As for `subscribe`.
            has_deltas: Whether it gets `MessageUpdateEvent`, too. Where nobody does, none is made.
        """
        subscription = Subscription(pattern, path_matcher(pattern), policy or block(), has_deltas)
        if self._closed:
            subscription.close()
        else:
            self._subscriptions.append(subscription)
            self._routes.clear()
        return subscription

    def close_subscription(self, subscription: Subscription) -> None:
        """End a subscription; what lies in it can still be read. Ending it twice changes nothing."""
        subscription.close()
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self._routes.clear()

    def close(self) -> None:
        """End all subscriptions after what was published; later ones are born ended."""
        self._closed = True
        for subscription in tuple(self._subscriptions):
            self.close_subscription(subscription)

    def _routes_of(self, path: str) -> tuple[Subscription, ...]:
        routes = self._routes.get(path)
        if routes is None:
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            routes = tuple([subscription for subscription in self._subscriptions if subscription.matches(path)])
            self._routes[path] = routes
        return routes

    def _cut_off(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            error = subscription.fail_as_too_slow()
            self.close_subscription(subscription)
            self.publish(SubscriberFailedEvent, "/", subscriber=subscription.pattern, error=error)
