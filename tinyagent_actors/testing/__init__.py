"""What tests of agents and trees need.

A fake endpoint that speaks real HTTP, its replies and faults, and policies to drive it; cassettes (`record_cassette`,
`replay_cassette`): exchanges with a real provider, kept and played back; a `Probe` that records what an actor
sends; `assert_quiescent`; and `deterministic`, which runs a test under many orders of tasks.

The pytest fixture is in `tinyagent_actors.testing.pytest_plugin`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tinyagent_actors.testing._endpoint import Endpoint, open_endpoint
from tinyagent_actors.testing._load import load_script, script_from_dict
from tinyagent_actors.testing._policy import CapacityPolicy, EchoPolicy, Policy, Script, ToolLoopPolicy, sample_value
from tinyagent_actors.testing._record import Recorder, record_cassette
from tinyagent_actors.testing._replay import Replay, replay_cassette
from tinyagent_actors.testing._request import ChatRequest, GivenResult, MadeCall, RecordedRequest
from tinyagent_actors.testing._script import CallSpec, Cut, Delivery, Reply, Reset, Stall
from tinyagent_actors.testing._statistics import Answered, EndpointStatistics, Limits

if TYPE_CHECKING:
    from tinyagent_actors.testing._probe import Probe
    from tinyagent_actors.testing._quiescence import assert_quiescent
    from tinyagent_actors.testing._schedule import deterministic, run_seed, run_seeds

_LATER = {
    "Probe": "_probe",
    "assert_quiescent": "_quiescence",
    "deterministic": "_schedule",
    "run_seed": "_schedule",
    "run_seeds": "_schedule",
}
"""Names and where they are, loaded when they are asked for: they need `trio.testing`, which loads pytest where that is there."""

__all__ = [
    "Answered",
    "CallSpec",
    "CapacityPolicy",
    "ChatRequest",
    "Cut",
    "Delivery",
    "EchoPolicy",
    "Endpoint",
    "EndpointStatistics",
    "GivenResult",
    "Limits",
    "MadeCall",
    "Policy",
    "Probe",
    "RecordedRequest",
    "Recorder",
    "Replay",
    "Reply",
    "Reset",
    "Script",
    "Stall",
    "ToolLoopPolicy",
    "assert_quiescent",
    "deterministic",
    "load_script",
    "open_endpoint",
    "record_cassette",
    "replay_cassette",
    "run_seed",
    "run_seeds",
    "sample_value",
    "script_from_dict",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_LATER[name]}")
    return globals().setdefault(name, getattr(module, name))
