"""ChildSpec: how a supervisor starts, restarts and stops a child. One check per field.

A field that is its default is not checked, and those that most specs leave alone are looked at together: a spec is made for each
child that is started at run time, and a validator per field took as long as all that Trio does to start a task.
"""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    Generic,
    Literal,
    Protocol,
    TypeAlias,
    cast,
    get_args,
    get_origin,
    runtime_checkable,
)

import attrs

from tinyagent_actors._errors import RestartPolicy, SpecError
from tinyagent_actors.actors._actor import Actor, run_actor
from tinyagent_actors.actors._backoff import Backoff
from tinyagent_actors.actors._exit import Exit, as_fact
from tinyagent_actors.actors._mailbox import DEFAULT_CAPACITY, Mailbox, OverflowPolicy
from tinyagent_actors.actors._name import check_name
from tinyagent_actors.actors._priority_lane import Priority, PriorityLane
from tinyagent_actors.actors._ref import ActorRef
from tinyagent_actors.actors._runtime import Runtime
from tinyagent_actors.actors._seconds import check_seconds
from tinyagent_actors.actors._types import MessageT, RefT_co, ReplyT, SpecRefT_co
from tinyagent_actors.events import SubscriberFailedEvent

if TYPE_CHECKING:
    from tinyagent_actors.actors._address import Address
    from tinyagent_actors.actors._cell import Cell
    from tinyagent_actors.actors._context import ActorContext

RestartType: TypeAlias = Literal["permanent", "transient", "temporary"]
Shutdown: TypeAlias = "float | Literal['kill']"
Classify: TypeAlias = Callable[[Exit], RestartPolicy]
Check: TypeAlias = Callable[[str, Any], object]

DEFAULT_SHUTDOWN: Final = 5.0
DEFAULT_START_TIMEOUT: Final = 30.0

_POLICIES: Final[tuple[RestartPolicy, ...]] = get_args(RestartPolicy)


def classify_by_error(exit: Exit) -> RestartPolicy:  # noqa: A002  # the field term
    """Read how to restart from the error's own `restart_policy`; somebody else's error is restarted as usual."""
    policy = getattr(exit.error, "restart_policy", "default")
    return policy if policy in _POLICIES else "default"


def _check_callable(field: str, value: Any) -> None:
    if not callable(value):
        raise SpecError(field, f"must be a function, is {value!r}")


def _one_of(choices: tuple[str, ...]) -> Check:
    def check(field: str, value: object, /) -> None:
        if value not in choices:
            raise SpecError(field, f"must be one of {', '.join(choices)}, is {value!r}")

    return check


def _check_shutdown(field: str, value: Any) -> None:
    if value != "kill":
        check_seconds(field, value)


def _check_capacity(field: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SpecError(field, f"must be a whole number of at least 1, is {value!r}")


def _check_bool(field: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise SpecError(field, f"must be True or False, is {value!r}")


def _check_redeliver(field: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SpecError(field, f"must be a whole number of at least 0, is {value!r}")


def check_backoff(_owner: object, _field: object, value: Any) -> None:
    """Refuse what is neither a `Backoff` nor None.

    Raises:
        SpecError: It is something else.
    """
    if value is not None and not isinstance(value, Backoff):
        raise SpecError("backoff", f"must be a Backoff or None, is {value!r}")


def _check_ref_type(field: str, value: Any) -> None:
    kind = get_origin(value) or value
    if not (isinstance(kind, type) and issubclass(kind, ActorRef)):
        raise SpecError(field, f"must be ActorRef or a class derived from it, is {value!r}")


def _to_args(value: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(value)


@attrs.frozen
class ChildSpec(Generic[MessageT, ReplyT, RefT_co]):
    """What a supervisor has to know of a child.

    To a type checker it also says what the child may be told and what it answers, as the actor's function
    (``ctx: ActorContext[int, str]``) or class (``Actor[int, str]``) does, and which kind of ref reaches it.

    Raises:
        SpecError: A field is wrong; it says which. Nothing is started.
    """

    name: str
    start: Callable[Concatenate[ActorContext[MessageT, ReplyT], ...], Awaitable[object]] | type[Actor[MessageT, ReplyT]]
    """An async function; it gets an `ActorContext`, then `args` and `kwargs`, anew at each start. Or a subclass of `Actor`, which
    is made with `args` and `kwargs`, anew at each start."""
    args: tuple[Any, ...] = attrs.field(default=(), converter=_to_args, kw_only=True)
    kwargs: Mapping[str, Any] = attrs.field(factory=dict, kw_only=True)
    restart: RestartType = attrs.field(default="permanent", kw_only=True)
    shutdown: Shutdown = attrs.field(default=DEFAULT_SHUTDOWN, kw_only=True)
    """Seconds between being asked to stop and being cancelled; ``"kill"``: at once; ``inf``: never."""
    start_timeout: float = attrs.field(default=DEFAULT_START_TIMEOUT, kw_only=True)
    """Seconds."""
    mailbox_capacity: int = attrs.field(default=DEFAULT_CAPACITY, kw_only=True)
    """Messages of the work lane."""
    mailbox_policy: OverflowPolicy = attrs.field(default="block", kw_only=True)
    keep_children: bool = attrs.field(default=False, kw_only=True)
    """Whether the children that the actor itself has started outlive a crash of it; else they are stopped first (S66)."""
    mailbox_priority: Priority | None = attrs.field(default=None, kw_only=True)
    """How urgent a message is, a function from it to a whole number: what is lower is read first. None: all alike, in order."""
    redeliver: int = attrs.field(default=0, kw_only=True)
    """How many times more a message is delivered that was told and in hand at a crash, before it is a dead letter (S62, S63)."""
    register: str | None = attrs.field(default=None, kw_only=True)
    """A name that each incarnation takes before its function runs. If somebody else has it, the start has failed (S55, S56)."""
    ref_type: type[RefT_co] = attrs.field(default=cast("type[RefT_co]", ActorRef), kw_only=True)
    classify: Classify = attrs.field(default=classify_by_error, kw_only=True)
    """How an exit is restarted, where it is restarted at all."""
    significant: bool = attrs.field(default=False, kw_only=True)
    """Whether its end may end its supervisor (`auto_shutdown`); not of a permanent child."""
    backoff: Backoff | None = attrs.field(default=None, kw_only=True)
    """How long to wait before a restart; None: as its supervisor does."""

    def __attrs_post_init__(self) -> None:
        check_name(self.name)
        if not callable(self.start):
            raise SpecError("start", f"must be an async function or a subclass of Actor, is {self.start!r}")
        if self.restart not in _RESTART_TYPES:
            _check_restart("restart", self.restart)
        if not all(map(operator.is_, _read_seldom_given(self), _DEFAULTS)):
            for name, default, check in _SELDOM_GIVEN:
                value = getattr(self, name)
                if value is not default:
                    check(name, value)
        if self.significant and self.restart == "permanent":
            raise SpecError("significant", "a permanent child never ends, so it cannot be significant")
        if not isinstance(self.ref_type, type):  # ActorRef[int, str]: the parameters are for type checkers
            object.__setattr__(self, "ref_type", get_origin(self.ref_type))

    def run(self, ctx: ActorContext[Any, Any]) -> Awaitable[object]:
        """Begin an incarnation: take its name, and give its body, to be awaited.

        Raises:
            AlreadyRegisteredError: Somebody has the name.
        """
        if self.register is not None:
            ctx.register(self.register)
        if isinstance(self.start, type) and issubclass(self.start, Actor):
            return run_actor(self.start, ctx, self.args, self.kwargs)
        function: Any = self.start
        body: Awaitable[object] = function(ctx, *self.args, **self.kwargs)
        return body

    def make_ref(self, address: Address, cell: Cell | None) -> ActorRef[MessageT, ReplyT]:
        """Give a ref of the kind that this spec names."""
        kind: Any = self.ref_type
        ref: ActorRef[MessageT, ReplyT] = kind(address, cell)
        return ref

    def new_mailbox(self, path: str, runtime: Runtime) -> Mailbox:
        """Give an empty mailbox for a child of this kind at `path`."""
        mailbox = Mailbox(path, runtime.dead_letters, runtime.pacer)
        self.furnish(mailbox, runtime)
        return mailbox

    def furnish(self, mailbox: Mailbox, runtime: Runtime) -> None:
        """Give a mailbox that is empty the bound, the policy and the order of this spec."""
        mailbox.capacity, mailbox.policy, mailbox.redeliver = self.mailbox_capacity, self.mailbox_policy, self.redeliver
        if self.mailbox_priority is not None:
            mailbox.work = PriorityLane(
                self.mailbox_priority, lambda error: _tell_failed_hook(runtime, mailbox.path, error)
            )


_RESTART_TYPES: Final[tuple[str, ...]] = get_args(RestartType)
_check_restart: Final = _one_of(_RESTART_TYPES)
_SELDOM_GIVEN: Final[tuple[tuple[str, object, Check], ...]] = (
    ("shutdown", DEFAULT_SHUTDOWN, _check_shutdown),
    ("start_timeout", DEFAULT_START_TIMEOUT, check_seconds),
    ("mailbox_capacity", DEFAULT_CAPACITY, _check_capacity),
    ("mailbox_policy", "block", _one_of(get_args(OverflowPolicy))),
    ("keep_children", False, _check_bool),
    ("mailbox_priority", None, _check_callable),
    ("redeliver", 0, _check_redeliver),
    ("register", None, lambda field, value: check_name(value, field)),
    ("ref_type", ActorRef, _check_ref_type),
    ("significant", False, _check_bool),
    ("backoff", None, lambda field, value: check_backoff(None, field, value)),
)
"""Each field that most specs leave alone, with its default and its check."""
_DEFAULTS: Final = tuple(default for _, default, _ in _SELDOM_GIVEN)
_read_seldom_given: Final = operator.attrgetter(*(name for name, _, _ in _SELDOM_GIVEN))


def _tell_failed_hook(runtime: Runtime, path: str, error: BaseException) -> None:
    runtime.bus.publish(SubscriberFailedEvent, path, subscriber=f"mailbox_priority of {path}", error=as_fact(error))


@runtime_checkable
class HasChildSpec(Protocol[SpecRefT_co]):
    """Something a supervisor takes in place of a `ChildSpec`, such as an `AgentSpec`."""

    def to_child_spec(self) -> ChildSpec[Any, Any, SpecRefT_co]:
        """Give the spec."""


ChildLike: TypeAlias = "ChildSpec | HasChildSpec"


def to_child_specs(children: Iterable[ChildLike]) -> tuple[ChildSpec, ...]:
    """Give the specs of `children`, or refuse them all.

    Raises:
        SpecError: One is no spec, or two have one name.
    """
    specs = tuple(to_child_spec(child) for child in children)
    seen: set[str] = set()
    for spec in specs:
        if spec.name in seen:
            raise SpecError("children", f"two children are named {spec.name!r}")
        seen.add(spec.name)
    return specs


def to_child_spec(child: ChildLike) -> ChildSpec:
    """Give the spec of `child`.

    Raises:
        SpecError: It is none and has none.
    """
    if isinstance(child, ChildSpec):
        return child
    if isinstance(child, HasChildSpec):
        return child.to_child_spec()
    raise SpecError("children", f"must be a ChildSpec or have one, is {child!r}")
