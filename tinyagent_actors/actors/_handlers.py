"""Handlers: which method of a class actor a message goes to. Found and checked when the class is defined."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, TypeAlias, TypeVar, overload

import attrs

from tinyagent_actors._errors import ActorDefinitionError

HandlerT = TypeVar("HandlerT", bound=Callable[..., Awaitable[Any]])
States: TypeAlias = "str | tuple[str, ...] | None"
_MARK: Final = "__tinyagent_handles__"


@attrs.frozen
class Handled:
    """What `handles` has noted on a method."""

    types: tuple[type, ...]
    """Empty: what its parameter is annotated with."""
    states: tuple[str | None, ...]


@overload
def handles(function: HandlerT, /) -> HandlerT: ...


@overload
def handles(*message_types: type, state: States = None) -> Callable[[HandlerT], HandlerT]: ...


def handles(*message_types: Any, state: States = None) -> Any:
    """Mark a method of an `Actor` as the handler of some classes of messages.

    Plain (``@handles``), it handles what the annotation of its parameter says: a class, or several with ``|``. With
    classes (``@handles(Deposit, Withdraw)``) it handles those, whatever the annotation says; so also where the annotation names
    what cannot be found when the class is defined. With `state` it does so only while the actor is in that state, or one of
    those (`Actor.become`).

    Args:
        message_types: Classes of messages; none: from the annotation. Parameters, as in ``PipedValue[int]``, are not looked at.
        state: The name of one state, or several.
    """
    states = state if isinstance(state, tuple) else (state,)

    def mark(function: HandlerT) -> HandlerT:
        setattr(function, _MARK, Handled(message_types, states))
        return function

    if len(message_types) == 1 and inspect.isfunction(message_types[0]):
        (function,), message_types = message_types, ()
        return mark(function)
    return mark


@attrs.define(eq=False)
class HandlerTable:
    """The handlers of one class, by state and class of message; those of its bases with it."""

    _names: dict[str | None, dict[type, str]]

    @classmethod
    def of(cls, actor_class: type) -> HandlerTable:
        """Give the table of a class.

        Raises:
            ActorDefinitionError: A method cannot be a handler, or two handle the same.
        """
        names: dict[str | None, dict[type, str]] = {}
        for base in reversed(actor_class.__mro__):
            seen: set[tuple[str | None, type]] = set()
            for name, function in vars(base).items():
                handled = getattr(function, _MARK, None)
                if not isinstance(handled, Handled):
                    continue
                _check_signature(actor_class, function)
                _drop(names, name)
                found = handled.types or _annotated(actor_class, function)
                for key in ((state, kind) for state in handled.states for kind in _classes(actor_class, name, found)):
                    if key in seen:
                        raise ActorDefinitionError(actor_class.__qualname__, f"two handlers take {key[1].__name__}")
                    seen.add(key)
                    names.setdefault(key[0], {})[key[1]] = name
        return cls(names)

    @property
    def states(self) -> set[str | None]:
        """The states that have handlers of their own; None for the handlers of all."""
        return set(self._names)

    def name_for(self, state: str | None, kind: type) -> str | None:
        """Give the name of the method for a class of message: the nearest class that the state handles, else that all do."""
        for at in (state, None) if state is not None else (None,):
            handlers = self._names.get(at, {})
            for base in kind.__mro__:
                if base in handlers:
                    return handlers[base]
        return None


def _drop(names: dict[str | None, dict[type, str]], name: str) -> None:
    """Forget what a method of that name handled in a base: it is replaced, handler and all."""
    for handlers in names.values():
        for kind in [kind for kind, known in handlers.items() if known == name]:
            del handlers[kind]


def _parameters(function: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


def _check_signature(actor_class: type, function: Any) -> None:
    actor, name = actor_class.__qualname__, function.__name__
    if not inspect.iscoroutinefunction(function):
        raise ActorDefinitionError(actor, f"the handler {name} is no async function")
    parameters = _parameters(function)
    if len(parameters) != 2 or any(p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters):  # noqa: PLR2004  # self and the message
        raise ActorDefinitionError(actor, f"the handler {name} must take self and one message")


def _annotated(actor_class: type, function: Any) -> tuple[Any, ...]:
    """Give what the message of a handler is annotated with."""
    actor, name = actor_class.__qualname__, function.__name__
    hint = _parameters(function)[1].annotation
    if hint is inspect.Parameter.empty:
        raise ActorDefinitionError(actor, f"the message of the handler {name} has no annotation")
    try:
        holder = types.SimpleNamespace(__annotations__={"message": hint})
        return (typing.get_type_hints(holder, function.__globals__)["message"],)
    except NameError as error:
        problem = f"the annotation of the handler {name} names {error.name!r}, which cannot be found; use @handles({error.name})"
        raise ActorDefinitionError(actor, problem) from None


def _classes(actor_class: type, name: str, hints: tuple[Any, ...]) -> Iterator[type]:
    for hint in hints:
        if typing.get_origin(hint) in (typing.Union, types.UnionType):
            yield from _classes(actor_class, name, typing.get_args(hint))
        elif hint is Any:
            yield object
        elif isinstance(kind := typing.get_origin(hint) or hint, type):
            yield kind
        else:
            raise ActorDefinitionError(
                actor_class.__qualname__, f"the handler {name} takes {hint!r}, which is no class"
            )
