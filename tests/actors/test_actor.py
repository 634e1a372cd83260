"""Class actors: handlers by class of message, hooks, states."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, Literal

import attrs
import pytest
import trio
import trio.testing

from tests._kernel import child, crash, settle, start, told
from tinyagent_actors import (
    Actor,
    ActorDefinitionError,
    ActorDiedError,
    ActorRef,
    DeadLetterEvent,
    DeathPactError,
    Down,
    LinkExit,
    NotAnsweredError,
    UnhandledMessageError,
    handles,
    open_system,
)

if TYPE_CHECKING:
    from tests._kernel import Stuck as OnlyForCheckers


@attrs.frozen
class Add:
    """Add a number."""

    number: int


class AddTwice(Add):
    """Add a number, and again."""


class Reset:
    """Begin anew."""


class Counter(Actor[Add | Reset | str, int]):
    """Count; crash when told a word."""

    made = 0

    def __init__(self, total: int = 0, *, step: int = 1) -> None:
        """Begin at `total`."""
        type(self).made += 1
        self.total = total
        self.step = step

    @handles
    async def add(self, message: Add) -> int:
        """Add."""
        self.total += message.number * self.step
        return self.total

    @handles
    async def reset(self, _message: Reset) -> None:
        """Forget."""
        self.total = 0

    @handles
    async def word(self, message: str | bytes) -> None:
        """Crash."""
        raise ValueError(message)


async def test_a_message_goes_to_the_handler_of_its_class() -> None:
    """What the handler returns answers an ask; a class without one goes to that of its nearest base; `args` and `kwargs` reach the maker."""
    async with open_system() as system:
        ref = await start(system, Counter, 10, kwargs={"step": 2})
        await ref.tell(Add(1))

        assert await ref.ask(AddTwice(1)) == 14
        assert await ref.ask(Reset()) is None
        assert await ref.ask(Add(1)) == 2


async def test_each_incarnation_is_a_new_instance() -> None:
    """S01: state does not outlive a crash; the ask in hand fails with its cause."""
    Counter.made = 0
    async with open_system() as system:
        ref = await start(system, Counter, 10)
        await ref.tell(Add(5))
        with pytest.raises(ActorDiedError):
            await ref.ask(b"boom")

        assert await ref.ask(Add(1)) == 11
        assert Counter.made == 2


async def test_a_message_without_a_handler_is_a_dead_letter() -> None:
    """S67: `unhandled`, and the ask fails typed; the actor lives. So also a trapped exit."""

    class Trapper(Counter):
        async def on_start(self) -> None:
            self.ctx.trap_exits = True
            other.link()

    async with open_system() as system, system.subscribe("actor") as events:
        other = await start(system, name="other", restart="temporary")
        ref = await start(system, Trapper)
        await ref.tell(1.5)
        with pytest.raises(UnhandledMessageError) as caught:
            await ref.ask(2.5)
        await crash(other)
        await settle()

        assert (caught.value.path, caught.value.message_type) == ("/actor", "float")
        assert isinstance(caught.value, NotAnsweredError)
        assert pickle.loads(pickle.dumps(caught.value)) == caught.value  # noqa: S301  # our own
        letters = [(event.reason, event.message_type) for event in told(events, DeadLetterEvent)]
        assert letters == [("unhandled", "float")] * 2 + [("unhandled", LinkExit.__name__)]
        assert await ref.ask(Add(1)) == 1


class Watcher(Actor[Any, Any]):
    """Monitor whom it is given; have no handler for what follows."""

    @handles
    async def watch(self, ref: ActorRef) -> None:
        """Monitor."""
        ref.monitor()


class Mourner(Watcher):
    """The same, with a handler."""

    def __init__(self) -> None:
        """Mourn nobody yet."""
        self.downs: list[Down] = []

    @handles
    async def mourn(self, down: Down) -> None:
        """Keep it."""
        self.downs.append(down)

    @handles
    async def tell(self, _question: str) -> list[Down]:
        """Tell whom."""
        return self.downs


async def test_a_watcher_without_a_handler_dies_with_whom_it_watches() -> None:
    """S54: it fails with `DeathPactError`, which says whose end and how; its supervisor restarts it; one that handles `Down` lives."""
    async with open_system() as system:
        target = await start(system, name="target", restart="temporary")
        watcher = await start(system, Watcher, name="watcher")
        mourner = await start(system, Mourner, name="mourner")
        for ref in (watcher, mourner):
            await ref.ask(target)
        await crash(target)
        with trio.fail_after(5):
            ended = await watcher.wait_stopped()

        assert isinstance(ended.error, DeathPactError)
        assert (ended.reason, ended.error.path, ended.error.reason) == ("error", "/target", "error")
        assert isinstance(ended.error.cause, Exception)
        assert pickle.loads(pickle.dumps(ended.error)).reason == "error"  # noqa: S301  # our own
        assert [down.ref for down in await mourner.ask("whom")] == [target]
        await settle()
        assert [system.child(name, ActorRef).incarnation for name in ("watcher", "mourner")] == [2, 1]


class Door(Actor[str, str]):
    """A state machine."""

    initial_state = "closed"

    @handles(state="closed")
    async def open_it(self, word: str) -> str:
        """Open."""
        if word == "wait":
            self.ctx.stash()
            return "never answered with"
        self.become("open")
        self.ctx.unstash_all()
        return "opened"

    @handles(state=("open", "ajar"))
    async def close_it(self, word: str) -> str:
        """Close."""
        self.become("closed" if word == "push" else "ajar")
        return f"was {self.ctx.name}, is {self.state}"

    @handles(int, float)
    async def knock(self, times: float) -> str:
        """Answer in every state."""
        return f"{times} knocks"

    @handles(bytes)
    async def away(self, _message: bytes) -> None:
        """Leave the states."""
        with pytest.raises(ValueError, match="no handler for the state 'locked'"):
            self.become("locked")
        self.become(None)


async def test_a_state_machine_becomes_what_it_is_told() -> None:
    """Handlers of the present state come first, then those of all; each incarnation begins in the initial state."""
    async with open_system() as system:
        ref = await start(system, Door, name="door")
        answers = [await ref.ask(word) for word in ("open!", "a little", 2, "push", "open!")]
        await ref.ask(b"leave")
        with pytest.raises(UnhandledMessageError):
            await ref.ask("push")
        ref.kill()
        await ref.wait_stopped()

        assert answers == ["opened", "was door, is ajar", "2 knocks", "was door, is closed", "opened"]
        assert await ref.ask("open!") == "opened"


async def test_a_handler_may_stash_or_defer() -> None:
    """S62: what it returns then answers nobody; the ask is answered when it is read again."""
    answers: dict[str, str] = {}

    async def ask(ref: ActorRef, word: str) -> None:
        answers[word] = await ref.ask(word)

    async with open_system() as system:
        ref = await start(system, Door, name="door")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, ref, "wait")
            await settle()
            await ask(ref, "open!")

        assert answers == {"open!": "opened", "wait": "was door, is ajar"}
        assert system.runtime.dead_letters.count == 0


async def test_handlers_are_inherited_and_replaced() -> None:
    """A subclass has its bases' handlers; one that it defines anew is its own, with what that handles; slots are no matter."""

    class Doubling(Counter):
        async def reset(self, _message: Reset) -> None:
            self.total = 1

        @handles
        async def add(self, message: AddTwice) -> int:  # type: ignore[override]  # the point
            self.total += 2 * message.number
            return self.total

    @attrs.define
    class Slotted(Actor[int, int]):
        total: int = 0

        @handles
        async def add(self, number: int) -> int:
            self.total += number
            return self.total

    async with open_system() as system:
        ref = await start(system, Doubling)
        await ref.tell(Reset())
        assert await ref.ask(AddTwice(1)) == 3
        with pytest.raises(UnhandledMessageError):
            await ref.ask(Add(1))
        slotted = await start(system, Slotted, 1, name="slotted")
        assert await slotted.ask(True) == 2  # noqa: FBT003  # a bool is an int


def test_a_wrong_class_is_refused_when_it_is_defined() -> None:
    """S18: each says which handler, and what is wrong with it."""

    async def right(self: Any, message: int) -> None: ...
    def plain(self: Any, message: int) -> None: ...
    async def none_at_all(self: Any) -> None: ...
    async def two(self: Any, message: int, other: int) -> None: ...
    async def any_number(self: Any, *messages: int) -> None: ...
    async def bare(self: Any, message) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001  # the point
    async def literal(self: Any, message: Literal["a"]) -> None: ...
    async def hidden(self: Any, message: OnlyForCheckers) -> None: ...

    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"plain": plain}, "plain is no async function"),
        ({"none_at_all": none_at_all}, "none_at_all must take self and one message"),
        ({"two": two}, "two must take self and one message"),
        ({"any_number": any_number}, "any_number must take self and one message"),
        ({"bare": bare}, "bare has no annotation"),
        ({"literal": literal}, "literal takes .* which is no class"),
        ({"hidden": hidden}, r"use @handles\(OnlyForCheckers\)"),
        ({"right": right, "again": right}, "two handlers take int"),
    )
    for methods, problem in cases:
        for method in methods.values():
            handles(method)
        with pytest.raises(ActorDefinitionError, match=problem) as caught:
            type("Wrong", (Actor,), dict(methods))
        assert caught.value.actor == "Wrong"
    with pytest.raises(ActorDefinitionError, match="initial state 'nowhere'"):
        type("Wrong", (Actor,), {"initial_state": "nowhere"})
    handles(int)(hidden)
    assert type("Right", (Actor,), {"hidden": hidden, "any": handles(_any)}) is not None


async def _any(self: Any, message: Any) -> None:
    """Take anything."""


async def test_a_handler_of_anything_takes_a_down_as_well() -> None:
    """S54: who says what is to be done with everything has said it of `Down`."""
    seen: list[str] = []

    class Everything(Watcher):
        @handles
        async def rest(self, message: Any) -> None:
            seen.append(type(message).__name__)

    async with open_system() as system:
        target = await start(system, name="target", restart="temporary")
        ref = await start(system, Everything)
        await ref.ask(target)
        await crash(target)
        await ref.ask("there")

    assert seen == ["Down", "str"]


def test_a_class_is_a_start_of_a_spec() -> None:
    """A spec keeps the class as it was given."""
    assert child("counter", Counter, 1).start is Counter
