"""supervisor(): the spec of a supervisor."""

from __future__ import annotations

from collections.abc import Iterable

from tinyagent_actors._errors import SpecError
from tinyagent_actors.actors import (
    ActorContext,
    Backoff,
    ChildLike,
    ChildSpec,
    RestartType,
    Shutdown,
    check_backoff,
    to_child_spec,
    to_child_specs,
)
from tinyagent_actors.supervision._decisions import (
    AUTO_SHUTDOWNS,
    STRATEGIES,
    AutoShutdown,
    Strategy,
    check_intensity,
    check_max_children,
)
from tinyagent_actors.supervision._options import SupervisorOptions
from tinyagent_actors.supervision._ref import SupervisorRef
from tinyagent_actors.supervision._supervisor import Supervisor


def supervisor(
    name: str,
    *,
    strategy: Strategy = "one_for_one",
    children: Iterable[ChildLike] = (),
    max_restarts: int = 3,
    max_seconds: float = 5.0,
    backoff: Backoff | None = None,
    max_children: int | None = None,
    template: ChildLike | None = None,
    auto_shutdown: AutoShutdown = "never",
    restart: RestartType = "permanent",
    significant: bool = False,
    shutdown: Shutdown = float("inf"),
) -> ChildSpec[object, object, SupervisorRef]:
    """Give the spec of a supervisor with these children.

    A supervisor starts its static children in order, one after the other, and stops them in reverse. A child that ends by
    itself is started again as its restart type says, and others with it as the strategy says; if that happens more than
    `max_restarts` times within `max_seconds`, the supervisor stops all its children and gives up, and its own supervisor
    applies its strategy.

    Args:
        name: Its name; its children's paths are below it.
        strategy: `one_for_one`: only the child that ended is started again. `one_for_all`: all others that run are stopped,
            then all start again, in order. `rest_for_one`: so for those that stand after it. `dynamic`: for many alike:
            children are started at run time only, none is kept when it has ended, all are asked to stop at once.
        children: Specs, or what has one, such as an `AgentSpec`.
        max_restarts: How many restarts are allowed ...
        max_seconds: ... within how many seconds (a sliding window).
        backoff: How long to wait before a child is started again; None: not at all, but where the child's spec or its error
            says so. A group that is restarted is stopped at once, and starts again after the wait.
        max_children: How many children it may have, those that wait for a restart or are kept, stopped, among them; None: as
            many as come.
        template: What `SupervisorRef.start_another` makes children of.
        auto_shutdown: Whether it ends, with the exit `shutdown`, when a significant child has ended by itself and is not
            restarted: `any_significant`: the first one; `all_significant`: the last one of them.
        restart: How the supervisor itself is restarted.
        significant: Whether its own end may end the supervisor above it.
        shutdown: Seconds it gets to stop its subtree; ``inf``, the default, gives each child its own time.

    Raises:
        SpecError: Something is wrong; the field is named, nothing is started.

    Example:
        >>> async def idle(ctx):
        ...     async for _ in ctx.messages():
        ...         pass
        >>> supervisor("team", children=[ChildSpec("one", idle)]).name
        'team'
    """
    if strategy not in STRATEGIES:
        raise SpecError("strategy", f"must be one of {', '.join(STRATEGIES)}, is {strategy!r}")
    if auto_shutdown not in AUTO_SHUTDOWNS:
        raise SpecError("auto_shutdown", f"must be one of {', '.join(AUTO_SHUTDOWNS)}, is {auto_shutdown!r}")
    check_intensity(max_restarts, max_seconds)
    check_backoff(None, None, backoff)
    check_max_children(max_children)
    options = SupervisorOptions(
        strategy,
        max_restarts,
        max_seconds,
        to_child_specs(children),
        backoff,
        max_children,
        None if template is None else to_child_spec(template),
        auto_shutdown,
    )
    _check_children(options)
    return ChildSpec(
        name,
        run_supervisor,
        args=(options,),
        restart=restart,
        significant=significant,
        shutdown=shutdown,
        start_timeout=float("inf"),
        ref_type=SupervisorRef,
    )


def _check_children(options: SupervisorOptions) -> None:
    specs, most = options.children, options.max_children
    if options.strategy == "dynamic" and specs:
        raise SpecError("children", "a dynamic supervisor has no static children; start them at run time")
    if most is not None and len(specs) > most:
        raise SpecError("max_children", f"is {most}, but there are {len(specs)} children")
    if options.auto_shutdown == "never":
        for spec in (*specs, *([] if options.template is None else [options.template])):
            if spec.significant:
                raise SpecError("significant", f"of {spec.name!r} means nothing where auto_shutdown is 'never'")


async def run_supervisor(ctx: ActorContext, options: SupervisorOptions) -> None:
    """Be a supervisor: the body of the actor that `supervisor` describes."""
    await Supervisor(ctx, options).run()
