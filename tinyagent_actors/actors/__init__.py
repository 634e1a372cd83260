"""Actors: mailboxes, refs, contexts, exits, the event bus, and what several layers above write to."""

from tinyagent_actors.actors._actor import Actor
from tinyagent_actors.actors._address import Address, OwnChildren, Owner
from tinyagent_actors.actors._approval_request import ApprovalRequest
from tinyagent_actors.actors._approvals import Approvals, ParkedCall
from tinyagent_actors.actors._background import Beside, Piped, PipedFailure, PipedValue
from tinyagent_actors.actors._backoff import Backoff
from tinyagent_actors.actors._bus import EventBus
from tinyagent_actors.actors._call_place import CallPlace
from tinyagent_actors.actors._cancelled import caller_deadline, deadline_reader, is_cancelled, split_cancelled
from tinyagent_actors.actors._cell import Body, Cell, cell_of_frame
from tinyagent_actors.actors._clock import Clock, ClockAbove, ClockScope, OuterDeadline, Pause, current_clock
from tinyagent_actors.actors._context import ActorContext, MessageIterator
from tinyagent_actors.actors._dead_letters import DeadLetters
from tinyagent_actors.actors._exit import CancelCause, Exit, ExitReason, Ignore, as_fact, fatal_leaf
from tinyagent_actors.actors._groups import Groups, Publication
from tinyagent_actors.actors._handlers import handles
from tinyagent_actors.actors._hold import Hold
from tinyagent_actors.actors._leftovers import LeftoverKind, LeftoverRegistry, Leftovers
from tinyagent_actors.actors._link import LinkExit
from tinyagent_actors.actors._mailbox import DEFAULT_CAPACITY, Mailbox, MailboxStatistics, OverflowPolicy, Pacer
from tinyagent_actors.actors._monitor import Down, Monitor
from tinyagent_actors.actors._name import check_name
from tinyagent_actors.actors._own_lane import ReceiveTimeout
from tinyagent_actors.actors._pattern import path_matcher
from tinyagent_actors.actors._ref import ActorRef, current_cell, leave_subtree, living_cell, name_of_caller
from tinyagent_actors.actors._registry import Registry
from tinyagent_actors.actors._reply_slot import Envelope, ReplySlot
from tinyagent_actors.actors._router import KeySticky, LeastMailbox, RoundRobin, Router
from tinyagent_actors.actors._runtime import (
    CLOSE_GRACE,
    Place,
    Resource,
    Runtime,
    current_place,
    current_runtime,
    runtime_of_run,
)
from tinyagent_actors.actors._seconds import check_seconds
from tinyagent_actors.actors._spec import (
    ChildLike,
    ChildSpec,
    Classify,
    HasChildSpec,
    RestartType,
    Shutdown,
    check_backoff,
    classify_by_error,
    to_child_spec,
    to_child_specs,
)
from tinyagent_actors.actors._subscription import Policy, Subscription, block, conflate
from tinyagent_actors.actors._timer import Timer
from tinyagent_actors.actors._types import MessageT, ReplyT
from tinyagent_actors.actors._via import Via
from tinyagent_actors.actors._wait_graph import WaitGraph
from tinyagent_actors.actors._wait_set import WaitSet
from tinyagent_actors.actors._work_queue import WorkQueue

__all__ = [
    "CLOSE_GRACE",
    "DEFAULT_CAPACITY",
    "Actor",
    "ActorContext",
    "ActorRef",
    "Address",
    "ApprovalRequest",
    "Approvals",
    "Backoff",
    "Beside",
    "Body",
    "CallPlace",
    "CancelCause",
    "Cell",
    "ChildLike",
    "ChildSpec",
    "Classify",
    "Clock",
    "ClockAbove",
    "ClockScope",
    "DeadLetters",
    "Down",
    "Envelope",
    "EventBus",
    "Exit",
    "ExitReason",
    "Groups",
    "HasChildSpec",
    "Hold",
    "Ignore",
    "KeySticky",
    "LeastMailbox",
    "LeftoverKind",
    "LeftoverRegistry",
    "Leftovers",
    "LinkExit",
    "Mailbox",
    "MailboxStatistics",
    "MessageIterator",
    "MessageT",
    "Monitor",
    "OuterDeadline",
    "OverflowPolicy",
    "OwnChildren",
    "Owner",
    "Pacer",
    "ParkedCall",
    "Pause",
    "Piped",
    "PipedFailure",
    "PipedValue",
    "Place",
    "Policy",
    "Publication",
    "ReceiveTimeout",
    "Registry",
    "ReplySlot",
    "ReplyT",
    "Resource",
    "RestartType",
    "RoundRobin",
    "Router",
    "Runtime",
    "Shutdown",
    "Subscription",
    "Timer",
    "Via",
    "WaitGraph",
    "WaitSet",
    "WorkQueue",
    "as_fact",
    "block",
    "caller_deadline",
    "cell_of_frame",
    "check_backoff",
    "check_name",
    "check_seconds",
    "classify_by_error",
    "conflate",
    "current_cell",
    "current_clock",
    "current_place",
    "current_runtime",
    "deadline_reader",
    "fatal_leaf",
    "handles",
    "is_cancelled",
    "leave_subtree",
    "living_cell",
    "name_of_caller",
    "path_matcher",
    "runtime_of_run",
    "split_cancelled",
    "to_child_spec",
    "to_child_specs",
]
