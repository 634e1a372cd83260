"""Children: what a supervisor keeps, by name; and what the end of one means to all who wait for it."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from tinyagent_actors._errors import StartFailedError
from tinyagent_actors.actors import Address, Cell, ChildSpec
from tinyagent_actors.supervision._child import Child


@attrs.define(eq=False)
class Children:
    """The children of one incarnation of a supervisor, in the order they were added; also those that are stopped."""

    _keeps_stopped: bool
    """Whether a spec stays when its child has ended; of a dynamic supervisor none does (S09)."""
    _by_name: dict[str, Child] = attrs.field(factory=dict, init=False)
    _significant: set[Child] = attrs.field(factory=set, init=False)
    """Significant children that have not ended."""

    def __iter__(self) -> Iterator[Child]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def add(self, spec: ChildSpec, address: Address, *, is_addition: bool = False) -> Child:
        """Keep a new child, which has not started."""
        child = self._by_name[spec.name] = Child(spec, address, is_addition=is_addition)
        self.begin(child)
        return child

    def begin(self, child: Child) -> None:
        """Count a child that is about to start for the first time, or after it had ended."""
        if child.spec.significant:
            self._significant.add(child)

    @property
    def has_significant(self) -> bool:
        """Whether a significant child has not ended."""
        return bool(self._significant)

    def named(self, name: str) -> Child | None:
        """Give the child of that name."""
        return self._by_name.get(name)

    def at(self, address: Address) -> Child | None:
        """Give the child at that address; None if another has its name now."""
        child = self._by_name.get(address.name)
        return child if child is not None and child.address is address else None

    def of(self, cell: Cell) -> Child | None:
        """Give the child whose present incarnation that is; None if it is an old one."""
        child = self._by_name.get(cell.address.name)
        return child if child is not None and child.cell is cell else None

    def forget(self, child: Child) -> None:
        """Drop a spec."""
        if self._by_name.get(child.spec.name) is child:
            del self._by_name[child.spec.name]

    def end(self, child: Child) -> None:
        """Let a child be gone: its mailbox closes, its spec stays unless it is temporary or was dropped."""
        child.state = "stopped"
        child.is_to_start = False
        child.address.retire()
        self._significant.discard(child)
        if child.is_dropped or child.spec.restart == "temporary" or not self._keeps_stopped:
            self.forget(child)
        slot = child.take_on_started()
        if slot is not None:
            slot.fail(StartFailedError(child.address.path))
        for waiting in child.on_ended:
            waiting.resolve(None)
        child.on_ended.clear()

    def end_all(self) -> None:
        """Let them all be gone, whatever they were at."""
        for child in tuple(self):
            child.cell = None
            if not child.address.is_gone:
                self.end(child)
