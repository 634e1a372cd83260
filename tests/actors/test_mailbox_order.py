"""The order of a mailbox against a simple model: whatever its senders and its reader do, under every policy."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests._kernel import settle
from tinyagent_actors import MailboxFullError, ReplySlot
from tinyagent_actors.actors import DeadLetters, Envelope, EventBus, Mailbox, Pacer
from tinyagent_actors.actors._priority_lane import PriorityLane

Key = tuple[int, int, int]
"""Who sent it, which of his messages it is, how urgent it is."""

STEPS = ["tell", "ask", "take", "cancel", "withdraw", "give_back"]
plans = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from(STEPS)), max_size=60)


@attrs.define(eq=False)
class Model:
    """What a mailbox is to be: two lists."""

    capacity: int
    policy: str
    has_priorities: bool
    box: list[Key] = attrs.field(factory=list)
    returned: list[Key] = attrs.field(factory=list)
    waiting: list[Key] = attrs.field(factory=list)
    dropped: list[Key] = attrs.field(factory=list)

    def urgency(self, key: Key) -> int:
        return key[2] if self.has_priorities else 0

    def send(self, key: Key) -> None:
        if len(self.box) + len(self.returned) < self.capacity:
            self.box.append(key)
        elif self.policy == "block":
            self.waiting.append(key)
        elif self.policy == "drop_oldest":
            self.box.append(key)
            if self.returned and not self.has_priorities:
                self.dropped.append(self.returned.pop(0))
            else:
                self.drop(max(self.box, key=self.urgency))
        else:
            self.dropped.append(key)

    def drop(self, key: Key) -> None:
        self.box.remove(key)
        self.dropped.append(key)

    def take(self) -> Key | None:
        if self.returned:
            key = self.returned.pop(0)
        elif self.box:
            key = min(self.box, key=self.urgency)
            self.box.remove(key)
        else:
            return None
        self.admit()
        return key

    def admit(self) -> None:
        if self.waiting and len(self.box) + len(self.returned) < self.capacity:
            self.box.append(self.waiting.pop(0))


@attrs.define(eq=False)
class Interleaving:
    """Four senders and a reader on one mailbox, and the model beside it."""

    mailbox: Mailbox
    model: Model
    nursery: trio.Nursery
    taken: list[Key] = attrs.field(factory=list)
    asks: dict[Key, Envelope] = attrs.field(factory=dict)
    waiting: dict[int, trio.CancelScope] = attrs.field(factory=dict)
    counts: Counter[int] = attrs.field(factory=Counter)
    in_hand: Any = None

    def tell(self, sender: int, priority: int) -> None:
        self._send(sender, priority, lambda key: (key, None))

    def ask(self, sender: int, priority: int) -> None:
        self._send(sender, priority, self._envelope)

    def _envelope(self, key: Key) -> Envelope:
        slot = ReplySlot("/box", float("inf"), self.mailbox._dead_letters)
        envelope = self.asks[key] = Envelope(key, None, slot)
        return envelope

    def _send(self, sender: int, priority: int, item_of: Any) -> None:
        if sender in self.waiting:  # a task that waits for room does not send again
            return
        self.counts[sender] += 1
        key = (sender, self.counts[sender], priority)
        item = item_of(key)
        self.model.send(key)
        try:
            is_in = self.mailbox.offer(item)
        except MailboxFullError:
            return
        if not is_in:
            self.waiting[sender] = trio.CancelScope()
            self.nursery.start_soon(self._put, sender, item)

    async def _put(self, sender: int, item: Any) -> None:
        with self.waiting[sender]:
            await self.mailbox.put(item)
        del self.waiting[sender]

    def take(self, _sender: int = 0, _priority: int = 0) -> bool:
        item = self.in_hand = self.mailbox.take_work()
        key = None if item is None else item[0] if isinstance(item, tuple) else item.message
        assert key == self.model.take()
        if key is not None:
            self.taken.append(key)
        return key is not None

    def give_back(self, _sender: int, _priority: int) -> None:
        item, self.in_hand = self.in_hand, None
        if isinstance(item, tuple) and self.mailbox.give_back(item):
            assert self.taken.pop() == item[0]
            self.model.returned.insert(0, item[0])

    def cancel(self, sender: int, _priority: int) -> None:
        if sender in self.waiting:
            self.waiting[sender].cancel()
            self.model.waiting = [key for key in self.model.waiting if key[0] != sender]

    def withdraw(self, _sender: int, _priority: int) -> None:
        if self.asks:
            key, envelope = self.asks.popitem()
            assert self.mailbox.withdraw(envelope) == (key in self.model.box)
            if key in self.model.box:
                self.model.box.remove(key)
                self.model.admit()

    def check(self) -> None:
        statistics, model = self.mailbox.statistics(), self.model
        seen = (statistics.depth, statistics.waiting, statistics.dropped)
        assert seen == (len(model.box) + len(model.returned), len(model.waiting), len(model.dropped))
        assert statistics.peak <= statistics.capacity


@pytest.mark.parametrize("has_priorities", [False, True])
@pytest.mark.parametrize("policy", ["block", "reject", "drop_oldest", "drop_newest"])
@settings(max_examples=60, deadline=None)
@given(plans, st.integers(1, 3))
def test_the_order_of_each_sender_is_kept(
    policy: str,
    has_priorities: bool,  # noqa: FBT001  # a parameter of the test
    plan: list[tuple[int, int, str]],
    capacity: int,
) -> None:
    """S61, S62: whatever blocks, is dropped, taken, cancelled, withdrawn or comes again: each sender's messages come in its order (of one priority, where there are some), none twice, none lost in silence."""
    trio.run(_check_order, plan, capacity, policy, has_priorities)


async def _check_order(plan: list[tuple[int, int, str]], capacity: int, policy: Any, has_priorities: bool) -> None:  # noqa: FBT001
    async with trio.open_nursery() as nursery:
        mailbox = Mailbox("/box", DeadLetters(EventBus()), Pacer(), capacity, policy, redeliver=2)
        if has_priorities:
            mailbox.work = PriorityLane(lambda key: int(key[2]), lambda _: None)
        run = Interleaving(mailbox, Model(capacity, policy, has_priorities), nursery)
        for sender, priority, step in plan:
            getattr(run, step)(sender, priority)
            await settle()
            run.check()
        while run.take():
            await settle()

    assert len(run.taken) == len(set(run.taken))
    for sender in range(4):
        for priorities in ([0], [1], [2]) if has_priorities else ([0, 1, 2],):
            own = [key[1] for key in run.taken if key[0] == sender and key[2] in priorities]
            assert own == sorted(own)
