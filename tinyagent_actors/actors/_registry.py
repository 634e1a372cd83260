"""Registry: unique names of actors, each with one owner at a time.

A name belongs to an incarnation. It is free the moment that has ended, before anybody hears of the end and before the next one
runs; so it never leads to an actor that is gone. The next incarnation takes it anew (`ChildSpec(register=...)` does that
before its function runs) and finds, if somebody else was quicker, that it is taken: then its start has failed. In between a
lookup either fails with a typed error (`whereis`) or waits (`wait`); it has no third answer.

One Trio thread makes this exact: a registration is a look and an entry with nothing between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from tinyagent_actors._errors import ActorStoppedError, AlreadyRegisteredError, NotRegisteredError
from tinyagent_actors.actors._name import check_name

if TYPE_CHECKING:
    from tinyagent_actors.actors._cell import Cell
    from tinyagent_actors.actors._ref import ActorRef


@attrs.define(eq=False)
class Registry:
    """The names of one system."""

    _owners: dict[str, ActorRef] = attrs.field(factory=dict, init=False)
    _names: dict[Cell, set[str]] = attrs.field(factory=dict, init=False)
    """What each incarnation has, so that its end costs no search."""
    _waiting: dict[str, trio.lowlevel.ParkingLot] = attrs.field(factory=dict, init=False)
    """Who waits for a name that nobody has."""

    @enable_ki_protection
    def register(self, name: str, ref: ActorRef) -> None:
        """Give `name` to the incarnation that `ref` names, until that ends or it is taken from it.

        Raises:
            SpecError: It is no name.
            AlreadyRegisteredError: Somebody has it, be it the same actor.
            ActorStoppedError: That incarnation has ended.
        """
        check_name(name)
        owner = self._owners.get(name)
        if owner is not None:
            raise AlreadyRegisteredError(name, owner.path, owner)
        cell = ref.living
        if cell is None:
            raise ActorStoppedError(ref.path)
        self._owners[name] = ref
        self._names.setdefault(cell, set()).add(name)
        cell.tie(self)
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            waiting.unpark_all()

    @enable_ki_protection
    def unregister(self, name: str, owner: ActorRef | None = None) -> bool:
        """Free a name; with `owner`, only if it is his. Whether it was freed: nobody may have had it any more."""
        ref = self._owners.get(name)
        if ref is None or (owner is not None and ref != owner):
            return False
        del self._owners[name]
        cell = ref.living
        if cell is not None:
            self._names[cell].discard(name)
        return True

    def whereis(self, name: str) -> ActorRef:
        """Give the owner of a name.

        Raises:
            NotRegisteredError: Nobody has it; also while whoever had it is started again.
        """
        ref = self._owners.get(name)
        if ref is None:
            raise NotRegisteredError(name)
        return ref

    async def wait(self, name: str) -> ActorRef:
        """Wait until somebody has the name, and give him. Cancelling it leaves nothing behind."""
        await trio.lowlevel.checkpoint()
        while (ref := self._owners.get(name)) is None:
            lot = self._waiting.setdefault(name, trio.lowlevel.ParkingLot())
            try:
                await lot.park()
            finally:
                if not lot and self._waiting.get(name) is lot:
                    del self._waiting[name]
        return ref

    def forget(self, cell: Cell) -> None:
        """Free every name of an incarnation that has ended."""
        for name in self._names.pop(cell, ()):
            del self._owners[name]

    def __len__(self) -> int:
        return len(self._owners)
