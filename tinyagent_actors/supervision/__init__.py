"""Supervision: trees of actors that heal, by the rules of OTP."""

from tinyagent_actors.supervision._child import ChildCount, ChildInfo, ChildState
from tinyagent_actors.supervision._child_runner import CLEANUP_GRACE
from tinyagent_actors.supervision._decisions import (
    AutoShutdown,
    RestartWindow,
    Strategy,
    backoff_seconds,
    ends_all,
    is_restarted,
)
from tinyagent_actors.supervision._options import SupervisorOptions
from tinyagent_actors.supervision._pool import PoolRef, pool
from tinyagent_actors.supervision._ref import SupervisorRef
from tinyagent_actors.supervision._spec import run_supervisor, supervisor
from tinyagent_actors.supervision._supervisor import abandon

__all__ = [
    "CLEANUP_GRACE",
    "AutoShutdown",
    "ChildCount",
    "ChildInfo",
    "ChildState",
    "PoolRef",
    "RestartWindow",
    "Strategy",
    "SupervisorOptions",
    "SupervisorRef",
    "abandon",
    "backoff_seconds",
    "ends_all",
    "is_restarted",
    "pool",
    "run_supervisor",
    "supervisor",
]
