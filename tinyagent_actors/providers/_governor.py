"""The governor: all calls with one key to one host, seen as one.

A provider counts by key. Fifty agents that each look after themselves are, seen from there, one client that does not
listen: told to come back in a second, all fifty come back in a second. So there is one governor for each (credential, host)
in a runtime (a system, or a `trio.run` outside of systems), and every model call goes through it: to get leave to ask, and to tell
how it went. It is the only part of the system that makes a request a second time (see `Attempts`). The credential is known here as a
keyed digest; it is kept nowhere and names nothing.

**Design.** What is judged is judged by `Gate`, a state machine without tasks and with a clock that is passed in, so that its laws are
tested under any order of calls and any time: `InFlightLimit` says how many, `FairQueue` says who. This module ties it to Trio. A call
that finds room takes a place and goes on: no checkpoint, no task, no event. One that finds none parks itself, and is woken by
whoever makes room: there is no task per waiter, and nobody looks around to see whether something has changed. The one thing that time
alone brings about is the end of a pause (and of `PATIENCE`); for that a single task sleeps until `Gate.next_time`, and only
while somebody waits.

A place is held from the grant until the answer is over: its last event, a failure, or the leaving of the block. A reader that takes its
time holds it, since the provider counts that stream as open too.

**Refusals** (429, 503, 529, and what means the same inside a stream) cut the limit and pause everybody, for as long as `Retry-After`
says, else for a back-off that doubles. Those that would rather have an error than wait that long (`max_retry_wait`) get it when the
pause begins, not when it ends, those that wait already as well as those to come. After a pause one call goes ahead, and each that gets
through lets one more be tried at a time.

**Races.** Everything here runs between two checkpoints of one thread, so only these are left. *A waiter is cancelled as it is granted
a place*: Trio runs either its abort function, which takes it out of the queue before anybody can grant it anything, or lets it wake up
with the place; then it looks for its cancellation before it sends, and gives the place back. *The one that paused all is
cancelled*: the pause belongs to the gate. *Everybody leaves during a pause*: the task that keeps time ends with the last waiter. *The
system ends with a full queue*: whoever still waits gets an error, and so does who comes later. *A key interrupt* is held back while
gate and waiters are being brought together.

**Refused.** A semaphore or `CapacityLimiter` (knows neither shares nor pauses, and its size cannot be learned). Each waiter sleeping until the end of
the pause (that is the herd). A task that hands out places from a queue (two switches a call, and one more thing that can die).
Measuring latency to foresee a refusal (thinking models answer when they are done thinking). Counting tokens against published limits (nobody publishes
what is left of them in a way that two providers share). A governor for each model: pauses and budgets are the key's.
"""

from __future__ import annotations

from math import inf
from typing import final

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from tinyagent_actors._errors import ProviderError
from tinyagent_actors.actors import Runtime
from tinyagent_actors.events import ProviderLimitChangedEvent, ProviderPausedEvent, ProviderResumedEvent
from tinyagent_actors.providers._governor_gate import Gate, Place
from tinyagent_actors.providers._governor_queue import Waiter
from tinyagent_actors.providers._governor_statistics import GovernorStatistics


@attrs.define(eq=False)
class _Parked:
    """A task that waits, and what it is woken with."""

    task: trio.lowlevel.Task | None = None
    """None: it does not sleep yet."""
    outcome: Place | ProviderError | None = None


@final
@attrs.define(eq=False, repr=False)
class Governor:
    """Leave to ask one provider with one key."""

    name: str
    _runtime: Runtime
    _gate: Gate
    _parked: dict[Waiter, _Parked] = attrs.field(factory=dict, init=False)
    _is_paused: bool = attrs.field(default=False, init=False)
    """Whether a pause was told whose end was not."""
    _told_limit: float = attrs.field(default=inf, init=False)
    _timer: trio.CancelScope | None = attrs.field(default=None, init=False)
    """What the task that keeps time sleeps in."""
    _timing: trio.Event | None = attrs.field(default=None, init=False)
    """Set when that task is gone; None while there is none."""
    _closed: ProviderError | None = attrs.field(default=None, init=False)

    # Places.

    @enable_ki_protection
    def try_enter(self) -> Place | None:
        """Give a place if there is one and nobody waits for it. Does not wait."""
        if self._closed is not None:
            return None
        place = self._gate.try_enter(now := trio.current_time())
        if self._is_paused:
            self._tell(now)
        return place

    @enable_ki_protection
    def line_up(self, waiter: Waiter, *, again: bool) -> None:
        """Have a call wait; `wait_for_place` must follow, without a checkpoint between.

        Args:
            waiter: The call.
            again: It had a place, and was refused.

        Raises:
            ProviderError: Too many wait, or a pause is longer than this call would wait.
        """
        if self._closed is not None:
            raise attrs.evolve(self._closed)
        self._gate.wait(waiter, trio.current_time(), again=again)
        self._parked[waiter] = _Parked()
        self._settle()

    @enable_ki_protection
    async def wait_for_place(self, waiter: Waiter) -> Place:
        """Wait for the place of a call that stands in the queue. A checkpoint only if it has to wait.

        Cancelling it takes the call out of the queue. One that is cancelled when it has its place already gets it; it is for
        the caller to give it back.

        Raises:
            ProviderError: There will be none: a pause is longer than this call would wait, or the system ends.
        """
        parked = self._parked[waiter]
        if parked.outcome is None:
            parked.task = trio.lowlevel.current_task()

            def withdraw(_: object) -> trio.lowlevel.Abort:
                self._gate.withdraw(waiter)
                del self._parked[waiter]
                self._settle()
                return trio.lowlevel.Abort.SUCCEEDED

            await trio.lowlevel.wait_task_rescheduled(withdraw)
        else:
            del self._parked[waiter]
        assert parked.outcome is not None  # nobody else wakes it
        if isinstance(parked.outcome, ProviderError):
            raise parked.outcome
        return parked.outcome

    # How calls fare.

    @enable_ki_protection
    def accept(self, place: Place) -> None:
        """Note that the answer to a call has begun."""
        self._gate.accept(place)
        self._settle()

    @enable_ki_protection
    def refuse(self, place: Place, error: ProviderError) -> None:
        """Note that the provider would not serve a call, which takes its place back: a smaller limit, and a pause for all."""
        now = trio.current_time()
        before = self._gate.paused_until
        self._gate.refuse(place, error, now)
        if self._gate.paused_until > before:
            self._is_paused = True
            self._publish(
                ProviderPausedEvent, seconds=self._gate.seconds_left(now), waiting=len(self._gate.queue), error=error
            )
        self._settle()

    @enable_ki_protection
    def give_back(self, place: Place) -> None:
        """Take a place back, however its call ended; doing so again changes nothing."""
        self._gate.give_back(place)
        self._settle()

    def fix_limit(self, calls: int) -> None:
        """Have at most so many in flight from now on, whatever the provider would take."""
        if self._gate.limit.cap != calls:
            self._gate.limit.cap = calls
            self._settle()

    # How it stands.

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._gate.queue)

    @property
    def in_flight(self) -> int:
        """How many calls have a place."""
        return self._gate.in_flight

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost but what it has learned, if it were forgotten."""
        return self.in_flight == 0 and self.waiting == 0 and self.seconds_left() == 0

    def seconds_left(self) -> float:
        """Give how long the pause lasts; 0 without one."""
        return self._gate.seconds_left(trio.current_time())

    def is_too_long(self, waiter: Waiter) -> bool:
        """Whether there is a pause that this call would not wait for."""
        return self._gate.is_too_long(waiter, trio.current_time())

    def statistics(self) -> GovernorStatistics:
        """Give the numbers as they are now."""
        limit = self._gate.limit.limit
        return GovernorStatistics(
            governor=self.name,
            limit=None if limit == inf else int(limit),
            in_flight=self.in_flight,
            queue=tuple(waiter.path for waiter in self._gate.queue),
            pause=self.seconds_left(),
            granted=self._gate.granted,
            refused=self._gate.refused,
        )

    def __repr__(self) -> str:
        return f"<Governor {self.name} in_flight={self.in_flight} waiting={self.waiting}>"

    async def aclose(self) -> None:
        """Give everybody who waits an error, and end the task that keeps time."""
        self._closed = ProviderError("connection_error", "the system that the call belongs to has ended")
        for waiter in list(self._gate.queue):
            self._gate.withdraw(waiter)
            self._wake(waiter, attrs.evolve(self._closed))
        self._set_timer(trio.current_time())
        if self._timing is not None:
            await self._timing.wait()

    # Waking.

    def _settle(self) -> None:
        """Bring waiters, events and the timer in line with the gate. To be called after each change of it."""
        gate = self._gate
        if not self._parked and not self._is_paused and gate.limit.limit == self._told_limit and self._timing is None:
            return
        now = trio.current_time()
        for waiter, outcome in gate.decide(now):
            self._wake(waiter, outcome)
        self._tell(now)
        self._set_timer(now)

    def _wake(self, waiter: Waiter, outcome: Place | ProviderError) -> None:
        parked = self._parked[waiter]
        parked.outcome = outcome
        if parked.task is not None:
            del self._parked[waiter]
            trio.lowlevel.reschedule(parked.task)

    def _set_timer(self, now: float) -> None:
        at = self._gate.next_time(now)
        if self._timing is None:
            if at < inf:
                self._timing = trio.Event()
                self._runtime.start_service(self._keep_time, name=f"tinyagent_actors: governor of {self.name}")
        elif self._timer is not None:
            self._timer.deadline = at
            if at == inf:
                self._timer.cancel()

    async def _keep_time(self) -> None:
        timing = self._timing
        assert timing is not None  # set by who starts it
        try:
            while (at := self._gate.next_time(trio.current_time())) < inf:
                with trio.CancelScope(deadline=at) as self._timer:
                    await trio.sleep_forever()
                self._timer = None
                self._settle()
        finally:
            self._timer = self._timing = None
            timing.set()

    # Telling.

    def _tell(self, now: float) -> None:
        if self._is_paused and now >= self._gate.paused_until:
            self._is_paused = False
            self._publish(ProviderResumedEvent, waiting=self.waiting)
        limit = self._gate.limit.limit
        if limit != self._told_limit and limit < inf:
            was = None if self._told_limit == inf else int(self._told_limit)
            self._publish(ProviderLimitChangedEvent, limit=int(limit), was=was, in_flight=self.in_flight)
        self._told_limit = limit

    def _publish(
        self, kind: type[ProviderPausedEvent | ProviderResumedEvent | ProviderLimitChangedEvent], **fields: object
    ) -> None:
        self._runtime.bus.publish(kind, "/", governor=self.name, **fields)
