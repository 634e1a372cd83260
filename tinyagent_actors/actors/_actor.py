"""Actor: an actor as a class, with a handler for each class of message and hooks around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic

import trio

from tinyagent_actors._errors import ActorDefinitionError, DeathPactError, UnhandledMessageError
from tinyagent_actors.actors._cancelled import split_cancelled
from tinyagent_actors.actors._exit import as_fact, fatal_leaf
from tinyagent_actors.actors._handlers import HandlerTable
from tinyagent_actors.actors._monitor import Down
from tinyagent_actors.actors._types import MessageT, ReplyT
from tinyagent_actors.events import SubscriberFailedEvent

if TYPE_CHECKING:
    from tinyagent_actors.actors._context import ActorContext


class Actor(Generic[MessageT, ReplyT]):
    """An actor written as a class: ``ChildSpec("counter", Counter, args=(10,))``.

    Each incarnation is a new instance, made with the spec's `args` and `kwargs`: state that a crash may have spoiled does
    not outlive it. A message goes to the method that `handles` its class, or the nearest of its bases; what the method
    returns answers an ask (unless it has replied, deferred or stashed itself). A message without a handler is a dead letter
    ``unhandled``, and the ask fails with `UnhandledMessageError`. But a `Down` without a handler ends the actor with
    `DeathPactError`: whoever monitors and does not say what is to happen then does not want to live on.

    The hooks, in order: `on_restart` (not in the first incarnation), `on_start`, then messages, then `on_stop`. An exception
    in one of the first two is a failed start. One in `on_stop` is this actor's crash if it would have ended otherwise; after
    a crash or under a cancel it is told as an event (`SubscriberFailedEvent`), once, and changes nothing.

    In a state machine, handlers belong to states: ``@handles(state="open")``; `become` says which state comes next.

    Raises:
        ActorDefinitionError: When the class is defined: a method cannot be a handler, two handle the same, or
            `initial_state` is no state.

    Example:
        >>> from tinyagent_actors import Actor, handles
        >>> class Counter(Actor[int, int]):
        ...     def __init__(self, start: int = 0) -> None:
        ...         self.total = start
        ...
        ...     @handles
        ...     async def add(self, number: int) -> int:
        ...         self.total += number
        ...         return self.total
    """

    ctx: ActorContext[MessageT, ReplyT]
    """There from `on_restart` and `on_start` on; not yet in ``__init__``."""
    initial_state: ClassVar[str | None] = None
    """The state in which each incarnation begins; None: in none."""

    _handlers: ClassVar[HandlerTable] = HandlerTable({})
    _state: str | None = None
    _is_finished: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Find and check the handlers."""
        super().__init_subclass__(**kwargs)
        cls._handlers = HandlerTable.of(cls)
        cls._state = cls.initial_state
        if cls.initial_state is not None and cls.initial_state not in cls._handlers.states:
            raise ActorDefinitionError(cls.__qualname__, f"no handler is for the initial state {cls.initial_state!r}")

    async def on_start(self) -> None:
        """Run in every incarnation, before its first message. The actor has started when this returns."""

    async def on_restart(self) -> None:
        """Run before `on_start` in every incarnation but the first: the one before has ended, and its message in hand is gone."""

    async def on_stop(self) -> None:
        """Run after the last message of an incarnation that had started, however it ends: stopped, finished, crashed or cancelled.

        A stop waits for it, within the spec's `shutdown`. If the actor is cancelled (killed, or linked to one that ended), it runs
        cancelled: its first wait raises, unless it is shielded.
        """

    def finish(self) -> None:
        """End after the message in hand, as a function that returns: the exit is `normal`."""
        self._is_finished = True

    @property
    def state(self) -> str | None:
        """In which state it is; None: in none."""
        return self._state

    def become(self, state: str | None) -> None:
        """Go to a state: from the next message on its handlers come first, then those of all states.

        Raises:
            ValueError: No handler is for that state.
        """
        if state is not None and state not in self._handlers.states:
            message = f"{type(self).__qualname__} has no handler for the state {state!r}"
            raise ValueError(message)
        self._state = state

    async def _serve(self) -> None:
        if self._is_finished:
            return
        async for message in self.ctx.messages():
            name = self._handlers.name_for(self._state, type(message))
            if name is None:
                self._refuse(message)
                continue
            reply = await getattr(self, name)(message)
            slot = self.ctx.asked
            if slot is not None and not slot.is_answered:
                slot.reply(reply)
            if self._is_finished:
                return

    def _refuse(self, message: object) -> None:
        ctx = self.ctx
        if isinstance(message, Down):
            raise DeathPactError(message.ref.path, message.exit.reason, as_fact(message.exit.error))
        ctx.runtime.dead_letters.add(ctx.path, message, "unhandled", cause=ctx.cell.event)
        if ctx.asked is not None:
            ctx.asked.fail(UnhandledMessageError(ctx.path, type(message).__name__))

    async def _run(self) -> None:
        ctx = self.ctx
        if ctx.ref.incarnation > 1:
            await self.on_restart()
        await self.on_start()
        ctx.started()
        try:
            await self._serve()
        except GeneratorExit:
            raise
        except BaseException:
            await self._stop_after_failure()
            raise
        await self.on_stop()

    async def _stop_after_failure(self) -> None:
        """Run `on_stop` where there is an end already, which it must not mask (S31). What is fatal passes."""
        try:
            await self.on_stop()
        except BaseException as raised:  # a hook
            if fatal_leaf(raised) is not None or not trio.lowlevel.in_trio_task():
                raise
            _, error = split_cancelled(raised)
            if error is not None:
                hook = f"on_stop of {self.ctx.path}"
                self.ctx.cell.publish(SubscriberFailedEvent, subscriber=hook, error=as_fact(error))


async def run_actor(
    actor_class: type[Actor[Any, Any]], ctx: ActorContext, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Be an incarnation of a class actor."""
    actor = actor_class(*args, **kwargs)
    actor.ctx = ctx
    await actor._run()  # noqa: SLF001  # the other half of the class
