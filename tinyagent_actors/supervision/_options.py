"""SupervisorOptions: what `supervisor()` was given."""

from __future__ import annotations

import attrs

from tinyagent_actors.actors import Backoff, ChildSpec
from tinyagent_actors.supervision._decisions import AutoShutdown, Strategy


@attrs.frozen
class SupervisorOptions:
    """What `supervisor()` was given, checked."""

    strategy: Strategy
    max_restarts: int
    max_seconds: float
    children: tuple[ChildSpec, ...]
    backoff: Backoff | None = None
    max_children: int | None = None
    template: ChildSpec | None = None
    auto_shutdown: AutoShutdown = "never"
