"""Every exception of the package, in one tree.

::

    TinyAgentError
    ├── ForeignError               somebody else's exception, as a value in a record
    ├── ValueShapeError            data from outside does not have the shape asked for; names the field
    ├── SpecError                  a child spec or an option is wrong; names the field; nothing was started
    ├── ActorDefinitionError       a class cannot be an actor; names the handler
    ├── ActorError                 something about one actor
    │   ├── ActorStoppedError      the actor is gone: ask somebody else
    │   │   └── ActorDiedError     it crashed with your ask in hand; `cause` says how
    │   ├── AlreadyRegisteredError somebody has that name; `owner` is it
    │   ├── AskCycleError          this ask would wait for itself; `cycle` is the path
    │   ├── DeathPactError         one that it monitors has ended, and it has no handler for that
    │   ├── MailboxFullError       no room; wait with `tell`, or send less
    │   ├── NoMembersError         there is nobody (left) to send to
    │   ├── NotAnsweredError       the actor went on without a reply
    │   │   └── UnhandledMessageError   it has no handler for such a message
    │   ├── NotRegisteredError     nobody has that name (now)
    │   ├── StashFullError         no room to put a message aside
    │   └── StartFailedError       the actor failed before it had started
    │       └── StartTimeoutError  it had not started after `start_timeout`
    ├── SupervisionError           a supervisor refused
    │   ├── AlreadyPresentError    a stopped child has that name
    │   ├── AlreadyStartedError    a running child has that name; `ref` is it
    │   ├── ChildNotFoundError     no child has that name
    │   ├── ChildRunningError      the child must be stopped first
    │   ├── MaxChildrenError       the supervisor has as many children as it may
    │   ├── RestartIntensityExceededError   children died too often
    │   ├── SupervisorStoppingError         the supervisor is stopping
    │   └── SystemFailedError      the root supervisor gave up; raised by `open_system`
    ├── SubscriberTooSlowError     a blocking subscriber did not make room in time and was cut off
    ├── CassetteError              a cassette is wrong, or cannot be read or written; names the line and the member
    ├── CassetteMissError          a replayed cassette has no answer to a request; says what differs
    ├── CassetteUnusedError        answers of a replayed cassette that nobody asked for
    ├── LogFileError               the log cannot be written; the run goes on without it
    ├── EngineUnavailableError     the engine that was named is not built here
    ├── ProviderError              what a model's provider did wrong; a value as well as an exception
    ├── ApprovalError              an answer to a request for approval was not taken
    │   ├── ApprovalAnsweredError  it is settled already; `decision` says how
    │   ├── ApprovalMismatchError  the answer is one for another tool, other arguments or another path
    │   └── ApprovalNotFoundError  there is no such request
    ├── McpServerError             an MCP server could not be started, broke the protocol, or went away
    ├── ToolError                  something about a tool
    │   ├── AddressRefusedError    an address must not be fetched from
    │   ├── FetchError             a page could not be fetched
    │   ├── InvalidArgumentsError  the model's arguments do not fit; every problem is named
    │   ├── PathRefusedError       a name leads out of the folder that a tool may use
    │   ├── ToolCrashedError       the process of a tool ended without a result
    │   ├── ToolDefinitionError    a function cannot be made a tool
    │   └── ToolTimeoutError       a deadline ended the tool; `deadline` names which
    └── RunError                   a run was ended by a limit, or could not be begun
        ├── AgentBusyError         a run is going on
        ├── BudgetExceededError    the lease is spent
        ├── ChildLimitError        an agent has as many children at work as it may
        ├── CompactionError        the transcript is too long for the model, and could not be made shorter
        ├── DepthLimitError        agents ask one another too deep
        ├── DeadlineExceededError  a deadline ended the run; `deadline` names which
        ├── HookError              a hook of yours raised; `hook` names it
        ├── OutputError            no value of the type that was asked for
        ├── RepeatedCallError      the model repeats itself
        └── TurnLimitError         too many turns

Each class takes facts as attributes and writes its sentence in ``__str__``; all can be pickled. How a supervisor treats an
exit is read from ``restart_policy`` of its error and from nothing else.
"""

from tinyagent_actors._errors._actor import (
    ActorDefinitionError,
    ActorDiedError,
    ActorError,
    ActorStoppedError,
    AlreadyRegisteredError,
    AskCycleError,
    DeathPactError,
    MailboxFullError,
    NoMembersError,
    NotAnsweredError,
    NotRegisteredError,
    StartFailedError,
    StartTimeoutError,
    StashFullError,
    UnhandledMessageError,
)
from tinyagent_actors._errors._approval import (
    ApprovalAnsweredError,
    ApprovalError,
    ApprovalMismatchError,
    ApprovalNotFoundError,
)
from tinyagent_actors._errors._cassette import CassetteError, CassetteMissError, CassetteUnusedError
from tinyagent_actors._errors._provider import (
    ErrorKind,
    ProviderError,
)
from tinyagent_actors._errors._root import (
    EngineUnavailableError,
    ForeignError,
    LogFileError,
    RestartPolicy,
    SpecError,
    SubscriberTooSlowError,
    TinyAgentError,
    ValueShapeError,
)
from tinyagent_actors._errors._run import (
    AgentBusyError,
    BudgetExceededError,
    ChildLimitError,
    CompactionError,
    DeadlineExceededError,
    DepthLimitError,
    HookError,
    InvalidArgumentsError,
    OutputError,
    RepeatedCallError,
    RunError,
    ToolDefinitionError,
    ToolError,
    ToolTimeoutError,
    TurnLimitError,
)
from tinyagent_actors._errors._supervision import (
    AlreadyPresentError,
    AlreadyStartedError,
    ChildNotFoundError,
    ChildRunningError,
    MaxChildrenError,
    RestartIntensityExceededError,
    SupervisionError,
    SupervisorStoppingError,
    SystemFailedError,
)
from tinyagent_actors._errors._tool import (
    AddressRefusedError,
    FetchError,
    McpServerError,
    PathRefusedError,
    ToolCrashedError,
)

__all__ = [
    "ActorDefinitionError",
    "ActorDiedError",
    "ActorError",
    "ActorStoppedError",
    "AddressRefusedError",
    "AgentBusyError",
    "AlreadyPresentError",
    "AlreadyRegisteredError",
    "AlreadyStartedError",
    "ApprovalAnsweredError",
    "ApprovalError",
    "ApprovalMismatchError",
    "ApprovalNotFoundError",
    "AskCycleError",
    "BudgetExceededError",
    "CassetteError",
    "CassetteMissError",
    "CassetteUnusedError",
    "ChildLimitError",
    "ChildNotFoundError",
    "ChildRunningError",
    "CompactionError",
    "DeadlineExceededError",
    "DeathPactError",
    "DepthLimitError",
    "EngineUnavailableError",
    "ErrorKind",
    "FetchError",
    "ForeignError",
    "HookError",
    "InvalidArgumentsError",
    "LogFileError",
    "MailboxFullError",
    "MaxChildrenError",
    "McpServerError",
    "NoMembersError",
    "NotAnsweredError",
    "NotRegisteredError",
    "OutputError",
    "PathRefusedError",
    "ProviderError",
    "RepeatedCallError",
    "RestartIntensityExceededError",
    "RestartPolicy",
    "RunError",
    "SpecError",
    "StartFailedError",
    "StartTimeoutError",
    "StashFullError",
    "SubscriberTooSlowError",
    "SupervisionError",
    "SupervisorStoppingError",
    "SystemFailedError",
    "TinyAgentError",
    "ToolCrashedError",
    "ToolDefinitionError",
    "ToolError",
    "ToolTimeoutError",
    "TurnLimitError",
    "UnhandledMessageError",
    "ValueShapeError",
]
