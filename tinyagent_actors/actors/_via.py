"""Via: whoever has a name, or stands at a path, at the moment of each message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from tinyagent_actors.actors._ref import ActorRef
    from tinyagent_actors.actors._runtime import Runtime


@attrs.frozen
class Via:
    """Sends by a name, or by an absolute path: looked up for each message, where a ref would name one incarnation.

    While nobody has the name (its owner is being started again, say), `tell` and `ask` wait for somebody who takes it; the
    caller's cancel scope is the deadline. A path has no such wait: the mailbox of a child outlives its restarts, so the
    message lies there.
    """

    where: str
    _runtime: Runtime = attrs.field(repr=False)

    async def tell(self, message: object) -> None:
        """Send a message, as `ActorRef.tell`, to whoever it is now. Cancelling it while it waits: not sent.

        Raises:
            ChildNotFoundError: It is a path, and there is no such child.
            MailboxFullError: The mailbox is full and its policy is `reject`.
        """
        await (await self._find()).tell(message)

    async def ask(self, message: object) -> Any:
        """Send a message and wait for its answer, as `ActorRef.ask`.

        Raises:
            ChildNotFoundError: It is a path, and there is no such child.
            ActorError: As `ActorRef.ask`.
        """
        return await (await self._find()).ask(message)

    def tell_nowait(self, message: object) -> None:
        """Send a message if somebody has the name and there is room.

        Raises:
            NotRegisteredError: Nobody has the name.
            ChildNotFoundError: It is a path, and there is no such child.
            MailboxFullError: There is no room.
        """
        self._runtime.whereis(self.where).tell_nowait(message)

    async def _find(self) -> ActorRef:
        if self.where.startswith("/"):
            return self._runtime.whereis(self.where)
        return await self._runtime.registry.wait(self.where)
