"""Type variables of actors: what one may be told, and what it answers.

Their defaults (PEP 696) are for type checkers, which know `typing_extensions` by themselves: a plain `ActorRef` is one of
anything. At run time there are none, so that nothing has to be installed for them: where a class is subscripted in code that
runs, both are to be given, as in ``ActorRef[int, str]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    MessageT = TypeVar("MessageT", default=Any)
    ReplyT = TypeVar("ReplyT", default=Any)
    MessageT_contra = TypeVar("MessageT_contra", contravariant=True, default=Any)
    ReplyT_co = TypeVar("ReplyT_co", covariant=True, default=Any)
    ChildMessageT = TypeVar("ChildMessageT", default=Any)
    ChildReplyT = TypeVar("ChildReplyT", default=Any)
    RefT = TypeVar("RefT", bound="ActorRef[Any, Any]")
    RefT_co = TypeVar("RefT_co", covariant=True, default="ActorRef[Any, Any] | None")
    """The kind of ref that a spec names; the default says that it names none."""
    SpecRefT_co = TypeVar("SpecRefT_co", covariant=True, default=Any)

    from tinyagent_actors.actors._ref import ActorRef
else:
    from typing import TypeVar

    MessageT = TypeVar("MessageT")
    ReplyT = TypeVar("ReplyT")
    MessageT_contra = TypeVar("MessageT_contra", contravariant=True)
    ReplyT_co = TypeVar("ReplyT_co", covariant=True)
    ChildMessageT = TypeVar("ChildMessageT")
    ChildReplyT = TypeVar("ChildReplyT")
    RefT = TypeVar("RefT", bound="ActorRef[Any, Any]")
    RefT_co = TypeVar("RefT_co", covariant=True)
    SpecRefT_co = TypeVar("SpecRefT_co", covariant=True)
